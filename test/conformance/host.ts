import type { SendRequest } from './app/send';
import type { HttpCheck } from './check';
import type { HubRecord } from './judge';

export interface Checkpoint {
  readonly partition: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface DurableStatus {
  readonly runtimeStatus: string;
  readonly output: unknown;
  readonly historyEvents?: readonly { readonly EventType: string }[];
}

/** The conformance app behind its address, wherever it runs. */
export class Host {
  readonly #url: string;
  readonly #key: string | null;

  constructor(url: string, key: string | null) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
  }

  send(request: SendRequest): Promise<unknown> {
    return this.#json('/api/conformance/send', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
  }

  records<Shape = HubRecord>(run: string, functionName: string): Promise<Shape[]> {
    return this.#json(`/api/conformance/records/${run}/${functionName}`);
  }

  checkpoints(functionName: string): Promise<Checkpoint[]> {
    return this.#json(`/api/conformance/checkpoints/${functionName}`);
  }

  /** Starts an orchestration under an id of the caller's. */
  startDurable(orchestrator: string, instanceId: string, input: unknown): Promise<unknown> {
    return this.#json(`/api/conformance/durable/${orchestrator}/${instanceId}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    });
  }

  durableStatus(instanceId: string): Promise<DurableStatus> {
    return this.#json(`/api/conformance/durable-status/${instanceId}`);
  }

  async raiseDurable(instanceId: string, event: string, value: unknown): Promise<void> {
    const path = `/api/conformance/durable-raise/${instanceId}/${event}`;
    const { status } = await this.#fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
    if (status !== 204) throw new Error(`${path}: ${status}`);
  }

  fetch({ body, headers = {}, method, path }: HttpCheck['request']): Promise<Response> {
    return this.#fetch(path, { method, headers, ...(body !== undefined && { body }) });
  }

  async #json<Shape>(path: string, init: RequestInit = {}): Promise<Shape> {
    const response = await this.#fetch(path, init);
    if (response.ok) return (await response.json()) as Shape;
    const text = await response.text();
    const hint =
      response.status === 401
        ? ' (give the app’s key with --key or CONFORMANCE_KEY)'
        : response.status === 404
          ? ' (is the conformance app running there? npm run conformance -- --help)'
          : '';
    throw new Error(`${path}: ${response.status} ${text.slice(0, 500)}${hint}`);
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = {
      ...init.headers,
      ...(this.#key !== null && { 'x-functions-key': this.#key }),
    };
    try {
      return await fetch(`${this.#url}${path}`, { ...init, headers });
    } catch (error) {
      const cause = (error as { cause?: Error }).cause ?? (error as Error);
      throw new Error(`nobody answers at ${this.#url}: ${cause.message}`, { cause: error });
    }
  }
}
