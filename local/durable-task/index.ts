/** Durable Functions in the local host: one task hub, its workers and its HTTP API. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { clientBinding, type ApiAddress } from './client-binding';
import { doorOf, HttpApi } from './http-api';
import type { DurableFunctions } from './replay';
import type { DurableSettings } from './settings';
import { TaskHubStore } from './store';
import { defaultTimes, TaskHub, type TaskHubTimes } from './task-hub';
import { WorkerPool } from './worker-pool';
import type { FunctionRan, RunFunction } from './worker-messages';

export type { TaskHubTimes } from './task-hub';

/** A worker's half of the conversation is worker.ts. */
export class DurableTask {
  readonly #options: ConstructorParameters<typeof DurableTask>[0];
  readonly #pool: WorkerPool;
  /** On Azure the package's client has a port of its own; here nobody else knows the path. */
  readonly #rpcPath = `/durabletask/${randomBytes(24).toString('hex')}`;
  #functions: DurableFunctions | null = null;
  #running: { readonly hub: TaskHub; readonly api: HttpApi } | null = null;
  #starting: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly settings: DurableSettings;
    /** AzureWebJobsStorage; absent: the app cannot use durable functions. */
    readonly connectionString: string | undefined;
    readonly functionTimeoutMs: number;
    readonly httpUrl: () => string;
    /** The key that the webhooks ask for; null: none. */
    readonly webhookKey: string | null;
    readonly log: (level: string, message: string) => void;
    readonly times?: TaskHubTimes | undefined;
    readonly point?: ((name: string) => void) | undefined;
  }) {
    this.#options = options;
    const { settings } = options;
    this.#pool = new WorkerPool({
      functionTimeoutMs: options.functionTimeoutMs,
      limits: {
        activity: settings.maxConcurrentActivityFunctions,
        orchestrator: settings.maxConcurrentOrchestratorFunctions,
        entity: settings.maxConcurrentEntityFunctions,
      },
    });
  }

  /** What the durableClient binding gives to functions. */
  get clientBinding(): string {
    return clientBinding(this.#address());
  }

  /** Whether requests to a path are this API's, and whether they must bring the webhooks' key. */
  doorOf(path: string): ReturnType<typeof doorOf> {
    return doorOf(path, this.#address());
  }

  #address(): ApiAddress {
    const { httpUrl, settings, webhookKey } = this.#options;
    const { hubName } = settings;
    const rpcPath = this.#rpcPath;
    return { httpUrl: httpUrl(), hubName, rpcPath, webhookKey: webhookKey ?? 'local' };
  }

  /** Rejects when the hub cannot be started; resolves at once when the app uses none. */
  get started(): Promise<void> {
    return this.#starting;
  }

  /** The first worker of an app that uses durable functions starts the hub. */
  workerReady(
    workerId: number,
    functions: DurableFunctions | null,
    send: (message: RunFunction) => void,
  ): void {
    if (functions === null) return;
    const isFirst = this.#functions === null;
    this.#functions = functions;
    this.#pool.add(workerId, send);
    if (!isFirst) return;
    this.#starting = this.#start();
    // Whoever waits for `started` hears of it.
    this.#starting.catch(() => undefined);
  }

  workerLeaving(workerId: number): void {
    this.#pool.leave(workerId);
  }

  workerEnded(workerId: number): void {
    this.#pool.remove(workerId);
  }

  functionRan(workerId: number, answer: FunctionRan): void {
    this.#pool.ran(workerId, answer);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#running !== null) return this.#running.api.handle(request, response);
    response
      .writeHead(503, { 'content-type': 'application/json' })
      .end(JSON.stringify({ Message: 'no worker with durable functions is ready' }));
  }

  async stop(): Promise<void> {
    await this.#starting.catch(() => undefined);
    await this.#running?.hub.stop();
    this.#running = null;
  }

  async #start(): Promise<void> {
    const { connectionString, log, settings, times, point } = this.#options;
    if (!connectionString) {
      throw new Error(
        'the app uses durable functions: the setting AzureWebJobsStorage must name a storage account with tables and blobs',
      );
    }
    for (const note of settings.notes) log('information', note);
    const hub = new TaskHub({
      store: new TaskHubStore(connectionString, settings.hubName),
      pool: this.#pool,
      functions: () => this.#functions ?? { orchestrators: [], activities: [], entities: [] },
      times: times ?? defaultTimes,
      log,
      ...(point && { point }),
    });
    await hub.start();
    const api = new HttpApi({ client: hub.client, address: () => this.#address() });
    this.#running = { hub, api };
  }
}
