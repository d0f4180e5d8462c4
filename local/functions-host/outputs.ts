import { randomUUID } from 'node:crypto';
import { EventHubProducerClient, type EventData } from '@azure/event-hubs';
import { ContainerClient } from '@azure/storage-blob';
import type { InvocationResponse, RegisteredFunction } from './app-loader';
import { connectionOf, isProvided, settingsOf } from './bindings';
import type { InvocationRequest } from './invoke';
import type { TypedData } from './typed-data';

type Options = Readonly<Record<string, unknown>>;

/**
 * Writes what a function returned into its output bindings, after it has returned. At least once: a
 * failing output fails the invocation, which the trigger's retry policy repeats with all its outputs.
 */
export class Outputs {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #producers = new Map<string, EventHubProducerClient>();
  readonly #containers = new Map<string, Promise<ContainerClient>>();

  constructor(settings: Readonly<Record<string, string>>) {
    this.#settings = settings;
  }

  async write(
    target: RegisteredFunction,
    request: InvocationRequest,
    response: InvocationResponse,
  ): Promise<void> {
    for (const [name, binding] of Object.entries(target.bindings)) {
      if (binding['direction'] !== 'out') continue;
      const data = (
        name === '$return'
          ? response.returnValue
          : response.outputData?.find((one) => one.name === name)?.data
      ) as TypedData | null | undefined;
      if (data === null || data === undefined) continue;
      await this.#writeOne(target, binding, data, request);
    }
  }

  async #writeOne(
    target: RegisteredFunction,
    binding: Options & { readonly type: string },
    data: TypedData,
    request: InvocationRequest,
  ): Promise<void> {
    const type = binding.type.toLowerCase();
    if (!isProvided(type, 'out')) {
      throw new Error(`this host writes no output bindings of type ${binding.type}`);
    }
    if (type === 'eventhub') await this.#send(target, binding, eventBodies(data));
    if (type === 'blob') await this.#upload(target, binding, data, request);
  }

  async #send(
    target: RegisteredFunction,
    binding: Options,
    bodies: readonly Buffer[],
  ): Promise<void> {
    const connection = connectionOf(target, binding, this.#settings);
    const hub = settingsOf(target, binding, this.#settings).setting('eventHubName');
    const key = `${hub}\n${connection}`;
    const producer = this.#producers.get(key) ?? new EventHubProducerClient(connection, hub);
    this.#producers.set(key, producer);
    let batch = await producer.createBatch();
    for (const body of bodies) {
      const event: EventData = { body };
      if (batch.tryAdd(event)) continue;
      if (batch.count > 0) await producer.sendBatch(batch);
      batch = await producer.createBatch();
      if (!batch.tryAdd(event)) {
        throw new Error(
          `an event of ${body.length} bytes is over the limit of ${batch.maxSizeInBytes} bytes of the hub ${hub}`,
        );
      }
    }
    if (batch.count > 0) await producer.sendBatch(batch);
  }

  async #upload(
    target: RegisteredFunction,
    binding: Options,
    data: TypedData,
    request: InvocationRequest,
  ): Promise<void> {
    const path = fillPath(
      settingsOf(target, binding, this.#settings).setting('path'),
      bindingDataOf(request),
    );
    const slash = path.indexOf('/');
    if (slash <= 0 || slash === path.length - 1) {
      throw new Error(`the path ${path} of a blob output must be container/name`);
    }
    const container = await this.#container(
      connectionOf(target, binding, this.#settings),
      path.slice(0, slash),
    );
    const content = bytesOf(data);
    await container
      .getBlockBlobClient(path.slice(slash + 1))
      .upload(content, content.length, { blobHTTPHeaders: {} });
  }

  /** Created when it is first written to, as the extension does. */
  #container(connection: string, name: string): Promise<ContainerClient> {
    const key = `${name}\n${connection}`;
    let ready = this.#containers.get(key);
    if (ready === undefined) {
      const client = new ContainerClient(connection, name);
      ready = client.createIfNotExists().then(() => client);
      ready.catch(() => this.#containers.delete(key));
      this.#containers.set(key, ready);
    }
    return ready;
  }

  async close(): Promise<void> {
    await Promise.allSettled(Array.from(this.#producers.values(), (producer) => producer.close()));
  }
}

/**
 * Events of an output value, split as the extension does: a list gives one event for each element, and
 * so does a text that is a JSON list; everything else is one event.
 */
function eventBodies(data: TypedData): Buffer[] {
  const text = data['json'] ?? data['string'];
  if (typeof text === 'string') {
    const value = data['json'] === undefined ? listIn(text) : (JSON.parse(text) as unknown);
    if (Array.isArray(value)) return value.map((element) => Buffer.from(elementText(element)));
    if (data['json'] !== undefined) return [Buffer.from(elementText(value))];
  }
  return [bytesOf(data)];
}

function listIn(text: string): unknown {
  if (!text.trimStart().startsWith('[')) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    // Not JSON: a text that begins with a bracket.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** As Json.NET's ToString has it: objects indented, texts raw, flags capital. */
function elementText(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return JSON.stringify(value, null, 2);
}

function bytesOf(data: TypedData): Buffer {
  const { bytes, string, json, int, double } = data;
  if (bytes instanceof Uint8Array) return Buffer.from(bytes);
  const text = string ?? json ?? int ?? double;
  return Buffer.from(typeof text === 'string' ? text : JSON.stringify(text ?? ''));
}

/** `{name}` in a path: `{rand-guid}`, `{DateTime}` (UTC), or the trigger's metadata, in any case. */
function fillPath(path: string, bindingData: Readonly<Record<string, unknown>>): string {
  return path.replace(/\{([^{}]+)\}/g, (_whole, expression: string) => {
    const name = expression.trim().toLowerCase();
    if (name === 'rand-guid') return randomUUID();
    if (name === 'datetime')
      return `${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
    let value: unknown = bindingData;
    for (const part of name.split('.')) {
      const entries = Object.entries((value ?? {}) as Record<string, unknown>);
      value = entries.find(([key]) => key.toLowerCase() === part)?.[1];
    }
    if (value === undefined || value === null || typeof value === 'object') {
      throw new Error(
        `the path ${path} of a blob output needs {${expression}}, which the trigger does not give`,
      );
    }
    return String(value);
  });
}

/** What a path may name: trigger metadata, an HTTP request's route, query and headers. */
function bindingDataOf(request: InvocationRequest): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(request.triggerMetadata)) {
    if (typeof value['json'] === 'string') data[name] = JSON.parse(value['json']);
    if (typeof value['string'] === 'string') data[name] = value['string'];
  }
  for (const { data: input } of request.inputData) {
    const http = input['http'] as Record<string, Record<string, { value: string }>> | undefined;
    const texts = (map: Record<string, { value: string }> | undefined): Record<string, string> =>
      Object.fromEntries(Object.entries(map ?? {}).map(([name, { value }]) => [name, value]));
    Object.assign(data, texts(http?.['nullableParams']), {
      Query: texts(http?.['nullableQuery']),
      Headers: texts(http?.['nullableHeaders']),
    });
  }
  return data;
}
