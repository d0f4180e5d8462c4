/** The worker's half: runs what the host sends, through the app's own copy of durable-functions. */
import type { LoadedApp } from './app-loader';
import { invoke, triggerOf, type HostWorld } from './invoke';
import { durableClientBindings } from '../durable-task/client-binding';
import type { DurableFunctions } from '../durable-task/replay';
import type { FunctionRan, RunFunction } from '../durable-task/worker-messages';

const kinds: Readonly<Record<string, keyof DurableFunctions>> = {
  orchestrationTrigger: 'orchestrators',
  activityTrigger: 'activities',
  entityTrigger: 'entities',
};

export function isDurableTrigger(type: string): boolean {
  return type in kinds;
}

/** Null: the app has neither durable functions nor a durable client. */
export function durableFunctionsOf(app: LoadedApp): DurableFunctions | null {
  const found = { orchestrators: [], activities: [], entities: [] } as Record<
    keyof DurableFunctions,
    string[]
  >;
  let isUsed = false;
  for (const target of app.functions) {
    const kind = kinds[triggerOf(target)?.type ?? ''];
    if (kind !== undefined) found[kind].push(target.name);
    isUsed ||= kind !== undefined || durableClientBindings(target.bindings).length > 0;
  }
  return isUsed ? found : null;
}

export class DurableWorker {
  readonly #app: LoadedApp;
  readonly #world: HostWorld;
  readonly #tell: (message: FunctionRan) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(options: {
    readonly app: LoadedApp;
    readonly world: HostWorld;
    readonly tell: (message: FunctionRan) => void;
  }) {
    this.#app = options.app;
    this.#world = options.world;
    this.#tell = options.tell;
  }

  run(request: RunFunction): void {
    const running = this.#run(request).then((answer) => {
      this.#running.delete(running);
      this.#tell({ kind: 'durable-ran', id: request.id, ...answer });
    });
    this.#running.add(running);
  }

  /** Waits for what runs; the host sends nothing more to a worker that leaves. */
  async stop(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #run(
    request: RunFunction,
  ): Promise<{ isOk: true; value: string | null } | { isOk: false; message: string }> {
    const name = request.functionName.toLowerCase();
    const target = this.#app.functions.find((one) => one.name.toLowerCase() === name);
    const trigger = target && triggerOf(target);
    if (target === undefined || !trigger) {
      return { isOk: false, message: `The function '${request.functionName}' does not exist.` };
    }
    const { data, instanceId } = request;
    try {
      const response = await invoke(
        this.#app,
        target,
        {
          inputData: [{ name: trigger.name, data: data === null ? {} : { string: data } }],
          triggerMetadata: {
            instanceId: { string: instanceId },
            ...(data !== null && trigger.type === 'activityTrigger' && { data: { string: data } }),
          },
        },
        this.#world,
        '(null)',
      );
      return { isOk: true, value: jsonOf(response.returnValue) };
    } catch (error) {
      return { isOk: false, message: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** A returned value (RpcTypedData) as JSON text. */
function jsonOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const data = value as Readonly<Record<string, unknown>>;
  if (typeof data['json'] === 'string') return data['json'];
  if (typeof data['string'] === 'string') return JSON.stringify(data['string']);
  const number = data['int'] ?? data['double'];
  if (typeof number === 'number') return JSON.stringify(number);
  if (data['bytes'] instanceof Uint8Array) {
    return JSON.stringify(Buffer.from(data['bytes']).toString('base64'));
  }
  throw new Error(
    `a return value of the kind ${Object.keys(data).join()} is not known to this host`,
  );
}
