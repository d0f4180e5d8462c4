/** The fixture app with every durable feature, on the real host, workers and Azurite. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { FunctionsHost } from '../../local/functions-host';
import { startAzurite, startFunctionsHost } from './built';
import type { Azurite } from '../../local/storage';

export const durableApp = resolve(__dirname, '../fixtures/durable-app');

export interface DurableStatus {
  readonly name: string;
  readonly instanceId: string;
  readonly runtimeStatus: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly customStatus: unknown;
  readonly historyEvents?: readonly Record<string, unknown>[];
}

const waitTimeoutMs = 60_000;
const waitIntervalMs = 30;

/** The management API of one host, as scripts use it. */
export class DurableApi {
  readonly #baseUrl: () => string;

  constructor(httpUrl: () => string) {
    this.#baseUrl = httpUrl;
  }

  request(method: string, path: string, body?: string): Promise<Response> {
    return fetch(`${this.#baseUrl()}/runtime/webhooks/durabletask/${path}`, {
      method,
      ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
    });
  }

  async start(name: string, input?: unknown, instanceId?: string): Promise<string> {
    const path = `orchestrators/${name}${instanceId === undefined ? '' : `/${instanceId}`}`;
    const response = await this.request(
      'POST',
      path,
      input === undefined ? '' : JSON.stringify(input),
    );
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
    return ((await response.json()) as { id: string }).id;
  }

  async status(instanceId: string, query = ''): Promise<DurableStatus> {
    const response = await this.request('GET', `instances/${instanceId}?${query}`);
    return (await response.json()) as DurableStatus;
  }

  async raise(instanceId: string, name: string, input: unknown): Promise<void> {
    const path = `instances/${instanceId}/raiseEvent/${name}`;
    const response = await this.request('POST', path, JSON.stringify(input));
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  }

  /** Waits until the instance is over, or in another state that is asked for. */
  async until(
    instanceId: string,
    is: (status: DurableStatus) => boolean = ({ runtimeStatus }) =>
      ['Completed', 'Failed', 'Terminated'].includes(runtimeStatus),
  ): Promise<DurableStatus> {
    const untilMs = Date.now() + waitTimeoutMs;
    let last: unknown = 'nothing was read';
    while (Date.now() < untilMs) {
      // A host that is being killed and started again answers later.
      const status = await this.status(instanceId).catch((error: unknown) => {
        last = error;
        return null;
      });
      if (status !== null && is(status)) return status;
      last = status ?? last;
      await new Promise((wait) => setTimeout(wait, waitIntervalMs));
    }
    throw new Error(`${instanceId} does not get there: ${JSON.stringify(last)} ${String(last)}`);
  }

  async run(name: string, input?: unknown, instanceId?: string): Promise<DurableStatus> {
    return this.until(await this.start(name, input, instanceId));
  }
}

export class DurableHost {
  readonly azurite: Azurite;
  readonly host: FunctionsHost;
  readonly api: DurableApi;
  readonly lines: string[];
  readonly directory: string;

  constructor(parts: {
    azurite: Azurite;
    host: FunctionsHost;
    lines: string[];
    directory: string;
  }) {
    this.azurite = parts.azurite;
    this.host = parts.host;
    this.lines = parts.lines;
    this.directory = parts.directory;
    this.api = new DurableApi(() => parts.host.httpUrl);
  }

  static async start(
    options: {
      readonly workers?: number;
      readonly hostJson?: Readonly<Record<string, unknown>>;
    } = {},
  ): Promise<DurableHost> {
    const directory = mkdtempSync(join(tmpdir(), 'durable-host-'));
    const azurite = await startAzurite();
    const lines: string[] = [];
    const host = await startFunctionsHost({
      appDirectory: durableApp,
      workers: options.workers ?? 2,
      httpPort: 0,
      durableTimes: { leaseMs: 3_000, pollIntervalMs: 200 },
      log: (line) => lines.push(line),
      settings: {
        AzureWebJobsStorage: azurite.connectionString,
        DURABLE_APP_LOG: join(directory, 'calls.log'),
      },
      ...(options.hostJson && { hostJson: options.hostJson }),
    });
    return new DurableHost({ azurite, host, lines, directory });
  }

  /** What the activities noted: one entry per call, with the process that ran it. */
  get calls(): { readonly pid: number; readonly call: string }[] {
    return callsIn(this.directory);
  }

  /** Calls one method of the durable client inside a function of the app. */
  async client(
    method: string,
    ...args: readonly unknown[]
  ): Promise<{ readonly result?: unknown; readonly error?: string }> {
    const response = await fetch(`${this.host.httpUrl}/api/client`, {
      method: 'POST',
      body: JSON.stringify({ method, args }),
      headers: { 'content-type': 'application/json' },
    });
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return (await response.json()) as { result?: unknown; error?: string };
  }

  async close(): Promise<void> {
    await this.host.close();
    await this.azurite.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function callsIn(directory: string): { readonly pid: number; readonly call: string }[] {
  return readFileSync(join(directory, 'calls.log'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', ...call] = line.split(' ');
      return { pid: Number(pid), call: call.join(' ') };
    });
}
