/** The management API: on the host's port at the webhooks path and, for the package, at the RPC path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refused, type TaskHubClient } from './client';
import { managementPath, managementUrls, type ApiAddress } from './client-binding';
import { finalStatuses, type InstanceFilter } from './instance-store';
import { entityIdOf, entityInstanceId } from './names';
import { statusOf, valueOf } from './status';

const pageSizeDefault = 100;
const pageSizeMax = 1_000;
const runtimeStatuses: readonly string[] = [
  ...['Pending', 'Running', 'Suspended', 'ContinuedAsNew'],
  ...finalStatuses,
];
const bodyBytesMax = 100 * 1024 * 1024;

interface Call {
  readonly method: string;
  /** Of the path below the base. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
}

interface Answer {
  readonly status: number;
  /** Goes as JSON. */
  readonly body?: unknown;
  /** Goes as it is, in the place of a body. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class HttpApi {
  readonly #client: TaskHubClient;
  readonly #address: () => ApiAddress;

  constructor(options: { readonly client: TaskHubClient; readonly address: () => ApiAddress }) {
    this.#client = options.client;
    this.#address = options.address;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const door = doorOf(url.pathname, this.#address());
    const base = door === 'webhooks' ? managementPath : this.#address().rpcPath;
    const parts = url.pathname
      .slice(base.length)
      .split('/')
      .filter((part) => part !== '');
    const call = { method: request.method ?? 'GET', parts, query: url.searchParams, request };
    const answer = await this.#answer(call).catch(refusalOf);
    const { body, text } = answer;
    const type = text === undefined ? 'application/json' : 'text/plain';
    response.writeHead(answer.status, { 'content-type': type, ...answer.headers });
    response.end(text ?? (body === undefined ? '' : JSON.stringify(body)));
  }

  async #answer(call: Call): Promise<Answer> {
    const [collection, ...rest] = call.parts.map(decoded);
    if (collection === 'orchestrators') return this.#start(call, rest);
    if (collection === 'instances') return this.#instances(call, rest);
    if (collection === 'entities') return this.#entities(call, rest);
    throw new Refused(404, `${call.method} ${call.parts.join('/')} is no operation of this API`);
  }

  async #start(call: Call, [name, instanceId]: readonly string[]): Promise<Answer> {
    if (call.method !== 'POST' || name === undefined) throw notAllowed(call);
    const body = await textOf(call.request);
    const id = await this.#client.start({
      name,
      instanceId: instanceId ?? null,
      input: body === '' ? null : assertJson(body),
      version: call.query.get('version'),
    });
    const timeoutSeconds = Number(call.query.get('timeout') ?? 0);
    if (timeoutSeconds > 0) {
      const intervalSeconds = Number(call.query.get('pollingInterval') ?? 1);
      const over = await this.#wait(id, timeoutSeconds * 1000, intervalSeconds * 1000);
      if (over !== null) return over;
    }
    return this.#accepted(id);
  }

  #accepted(instanceId: string): Answer {
    const urls = managementUrls(this.#address(), instanceId);
    return {
      status: 202,
      body: urls,
      headers: { Location: urls['statusQueryGetUri'] ?? '', 'Retry-After': '10' },
    };
  }

  /** Null: the instance is not over in time. */
  async #wait(instanceId: string, timeoutMs: number, intervalMs: number): Promise<Answer | null> {
    const untilMs = Date.now() + timeoutMs;
    while (Date.now() < untilMs) {
      const instance = await this.#client.get(instanceId);
      if (instance?.runtimeStatus === 'Completed') {
        return { status: 200, body: valueOf(instance.output) };
      }
      if (instance !== null && finalStatuses.includes(instance.runtimeStatus)) {
        return { status: 500, body: statusOf(instance, [], plain) };
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(100, intervalMs)));
    }
    return null;
  }

  async #instances(call: Call, [instanceId, operation, name]: readonly string[]): Promise<Answer> {
    if (instanceId === undefined) {
      if (call.method === 'GET') return this.#list(call, 'orchestrations');
      if (call.method === 'DELETE') return this.#purgeBy(call);
      throw notAllowed(call);
    }
    if (operation === undefined) {
      if (call.method === 'GET') return this.#status(call, instanceId);
      if (call.method !== 'DELETE') throw notAllowed(call);
      const isPurged = await this.#client.purge(instanceId);
      if (!isPurged) throw new Refused(404, `No instance with ID '${instanceId}' that is over.`);
      return { status: 200, body: { instancesDeleted: 1 } };
    }
    if (call.method !== 'POST') throw notAllowed(call);
    const reason = call.query.get('reason') ?? '';
    switch (operation.toLowerCase()) {
      case 'raiseevent':
        if (name === undefined) throw notAllowed(call);
        await this.#client.raise(instanceId, name, await jsonOf(call.request));
        return { status: 202 };
      case 'terminate':
        await this.#client.terminate(instanceId, reason);
        return { status: 202 };
      case 'suspend':
        await this.#client.suspend(instanceId, reason);
        return { status: 202 };
      case 'resume':
        await this.#client.resume(instanceId, reason);
        return { status: 202 };
      case 'rewind':
        await this.#client.rewind(instanceId, reason);
        return { status: 202 };
      case 'restart': {
        const isNewId = call.query.get('restartWithNewInstanceId') !== 'false';
        return this.#accepted(await this.#client.restart(instanceId, isNewId));
      }
      default:
        throw notAllowed(call);
    }
  }

  async #status(call: Call, instanceId: string): Promise<Answer> {
    const instance = await this.#client.get(instanceId);
    if (instance === null) throw new Refused(404, `No instance with ID '${instanceId}' found.`);
    const isHistoryShown = isTrue(call.query, 'showHistory');
    const history = isHistoryShown ? await this.#client.history(instanceId) : [];
    const body = statusOf(instance, history, {
      isHistoryShown,
      isHistoryOutputShown: isTrue(call.query, 'showHistoryOutput'),
      isInputShown: call.query.get('showInput') !== 'false',
    });
    if (!finalStatuses.includes(instance.runtimeStatus)) {
      const urls = managementUrls(this.#address(), instanceId);
      const headers = { Location: urls['statusQueryGetUri'] ?? '', 'Retry-After': '5' };
      return { status: 202, body, headers };
    }
    const isError =
      instance.runtimeStatus === 'Failed' &&
      isTrue(call.query, 'returnInternalServerErrorOnFailure');
    return { status: isError ? 500 : 200, body };
  }

  /** `entityName`: only of these. */
  async #list(call: Call, kind: InstanceFilter['kind'], entityName?: string): Promise<Answer> {
    const token = call.request.headers['x-ms-continuation-token'];
    const size = Number(call.query.get('top') ?? pageSizeDefault);
    const filter = {
      ...filterOf(call.query, kind),
      ...(entityName !== undefined && {
        instanceIdPrefix: entityInstanceId({ name: entityName, key: '' }),
      }),
    };
    const page = await this.#client.page(filter, {
      size: Math.min(pageSizeMax, size > 0 ? size : pageSizeDefault),
      token: typeof token === 'string' && token !== '' ? token : null,
    });
    const body = page.instances.map((instance) =>
      kind === 'entities'
        ? { entityId: entityIdOf(instance.instanceId), lastOperationTime: instance.lastUpdatedTime }
        : statusOf(instance, [], { ...plain, isInputShown: isTrue(call.query, 'showInput') }),
    );
    return {
      status: 200,
      body,
      ...(page.token !== null && { headers: { 'x-ms-continuation-token': page.token } }),
    };
  }

  async #purgeBy(call: Call): Promise<Answer> {
    if (call.query.get('createdTimeFrom') === null) {
      throw new Refused(400, 'createdTimeFrom: must be given to purge more than one instance');
    }
    const count = await this.#client.purgeBy(filterOf(call.query, 'orchestrations'));
    if (count === 0) throw new Refused(404, 'No instance that is over matches.');
    return { status: 200, body: { instancesDeleted: count } };
  }

  async #entities(call: Call, [name, key]: readonly string[]): Promise<Answer> {
    if (name === undefined || key === undefined) {
      if (call.method !== 'GET') throw notAllowed(call);
      return this.#list(call, 'entities', name);
    }
    if (call.method === 'GET') {
      const state = await this.#client.entityState({ name, key });
      if (state === null) throw new Refused(404, `No entity @${name}@${key}.`);
      return { status: 200, body: valueOf(state) };
    }
    if (call.method !== 'POST') throw notAllowed(call);
    const body = await textOf(call.request);
    const input = body === '' ? null : assertJson(body);
    await this.#client.signalEntity({ name, key }, call.query.get('op') ?? '', input);
    return { status: 202 };
  }
}

/** The package shows a text as it is, and of an object only that it is one. */
function refusalOf(error: unknown): Answer {
  if (!(error instanceof Refused)) return { status: 500, body: { Message: String(error) } };
  const { message, status } = error;
  return [404, 410, 412].includes(status)
    ? { status, text: message }
    : { status, body: { Message: message } };
}

const plain = { isInputShown: true, isHistoryShown: false, isHistoryOutputShown: false };

/** The way by which a path leads to this API: the webhooks ask for a key, `rpc` is one. Null: none. */
export function doorOf(path: string, { rpcPath }: ApiAddress): 'webhooks' | 'rpc' | null {
  if (isBelow(path, managementPath)) return 'webhooks';
  return isBelow(path, rpcPath) ? 'rpc' : null;
}

function isBelow(path: string, base: string): boolean {
  return path === base || path.startsWith(`${base}/`);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) throw new Refused(400, `${part}: ${error.message}`);
    throw error;
  }
}

function isTrue(query: URLSearchParams, name: string): boolean {
  return query.get(name)?.toLowerCase() === 'true';
}

function filterOf(query: URLSearchParams, kind: InstanceFilter['kind']): InstanceFilter {
  const time = (name: string): Date | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    const at = new Date(text);
    if (Number.isNaN(at.getTime())) throw new Refused(400, `${name}: '${text}' is no time`);
    return at;
  };
  const from = time('createdTimeFrom');
  const to = time('createdTimeTo');
  const prefix = query.get('instanceIdPrefix');
  const statuses = (query.get('runtimeStatus') ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
    .map(statusNamed);
  return {
    kind,
    ...(from && { createdTimeFrom: from }),
    ...(to && { createdTimeTo: to }),
    ...(statuses.length > 0 && { runtimeStatus: statuses }),
    ...(prefix && { instanceIdPrefix: prefix }),
  };
}

/** A state in any case, as the platform reads it. */
function statusNamed(text: string): string {
  const status = runtimeStatuses.find((one) => one.toLowerCase() === text.toLowerCase());
  if (status !== undefined) return status;
  throw new Refused(400, `runtimeStatus: '${text}' is none of ${runtimeStatuses.join(', ')}`);
}

function notAllowed(call: Call): Refused {
  return new Refused(404, `${call.method} ${call.parts.join('/')} is no operation of this API`);
}

async function jsonOf(request: IncomingMessage): Promise<string> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new Refused(400, 'Only application/json request content is supported');
  }
  const body = await textOf(request);
  return body === '' ? 'null' : assertJson(body);
}

function assertJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new Refused(400, `The body is no JSON: ${error.message}`);
    }
    throw error;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Refused(413, 'The body is over 100 MB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
