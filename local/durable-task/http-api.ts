/**
 * The management API: on the host's port at the webhooks path and, for the package, at the RPC path.
 * Routes, status codes and bodies are those of HttpApiHandler in the Durable extension.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiQuery } from './api-query';
import type { TaskHubClient } from './client';
import { managementPath, managementUrls, type ApiAddress } from './client-binding';
import { finalStatuses } from './instance-store';
import { entityIdOf, entityInstanceId, instanceIdFault, type EntityId } from './names';
import { missing, Refused } from './refusals';
import { assertJson, mediaTypeOf, textOf } from './request-body';
import { statusOf, valueOf } from './status';

const pollIntervalMsMin = 100;
const eventNameCharactersMax = 1_024;
/** In the place of an empty entity key, which no path can show. */
const emptyEntityKey = '$';
const connectionNames = ['storage', 'azurewebjobsstorage'];
const continuationHeader = 'x-ms-continuation-token';

interface Call {
  readonly method: string;
  /** Of the path below the base. */
  readonly parts: readonly string[];
  readonly query: ApiQuery;
  readonly request: IncomingMessage;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
}

interface Answer {
  readonly status: number;
  /** Goes as JSON; absent: no body. */
  readonly body?: unknown;
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
    const path = url.pathname.slice(base.length).replace(/^\/+|\/+$/g, '');
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const query = new ApiQuery(url.searchParams);
    const call = { method: request.method ?? 'GET', query, request, signal: gone.signal };
    const { status, body, headers } = await this.#answer(call, path).catch(refusalOf);
    // The connection's next request begins behind this one's body, whoever did not want it.
    request.resume();
    const text = body === undefined ? null : JSON.stringify(body);
    response.writeHead(status, {
      ...(text !== null && { 'content-type': 'application/json; charset=utf-8' }),
      ...headers,
    });
    response.end(text ?? undefined);
  }

  async #answer(call: Omit<Call, 'parts'>, path: string): Promise<Answer> {
    const parts = path === '' ? [] : path.split('/').map(decoded);
    const collection = parts.shift()?.toLowerCase();
    const whole = { ...call, parts };
    if (parts.includes('')) throw noOperation(whole);
    this.#assertHub(call.query);
    if (collection === 'orchestrators') return this.#start(whole);
    if (collection === 'entities') return this.#entities(whole);
    if (collection === 'instances') return this.#instances(whole);
    // The one app of a hub is the primary one.
    if (collection === 'makeprimary' && parts.length === 0) return { status: 200 };
    throw noOperation(whole);
  }

  /** A request for another hub must not be answered from this one. */
  #assertHub(query: ApiQuery): void {
    const hub = query.text('taskHub')?.trim() ?? '';
    const { hubName } = this.#address();
    if (hub !== '' && hub.toLowerCase() !== hubName.toLowerCase()) {
      throw new Refused(400, `taskHub: this host has the task hub '${hubName}', not '${hub}'`);
    }
    const connection = query.text('connection')?.trim() ?? '';
    if (connection !== '' && !connectionNames.includes(connection.toLowerCase())) {
      throw new Refused(
        400,
        `connection: this host's task hub is in AzureWebJobsStorage ('Storage'), not in '${connection}'`,
      );
    }
  }

  async #start(call: Call): Promise<Answer> {
    const [name, instanceId = null] = call.parts;
    if (call.method !== 'POST' || name === undefined || call.parts.length > 2) {
      throw noOperation(call);
    }
    const waiting = waitingOf(call.query);
    const body = await textOf(call.request);
    const id = await this.#client.start({
      name,
      instanceId,
      input: body.trim() === '' ? null : assertJson(body),
      version: call.query.text('version'),
    });
    return this.#begun(call, id, waiting);
  }

  /** The answer to a start: with both times given, the end of the instance when it comes in time. */
  async #begun(call: Call, instanceId: string, waiting: Waiting | null): Promise<Answer> {
    const over = waiting === null ? null : await this.#wait(call, instanceId, waiting);
    if (over !== null) return over;
    const urls = managementUrls(this.#address(), instanceId);
    // Rewinding is for those that have failed: this URL is in the binding only.
    delete urls['rewindPostUri'];
    return {
      status: 202,
      body: urls,
      headers: { Location: urls['statusQueryGetUri'] ?? '', 'Retry-After': '10' },
    };
  }

  /** Null: the instance is not over in time, or nobody waits for the answer any more. */
  async #wait(call: Call, instanceId: string, waiting: Waiting): Promise<Answer | null> {
    const untilMs = performance.now() + waiting.timeoutMs;
    while (!call.signal.aborted) {
      const instance = await this.#client.get(instanceId);
      if (instance?.runtimeStatus === 'Completed') {
        return { status: 200, body: valueOf(instance.output) };
      }
      if (instance !== null && finalStatuses.includes(instance.runtimeStatus)) {
        return this.#status(call, instanceId, false);
      }
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) return null;
      const pauseMs = Math.min(leftMs, Math.max(pollIntervalMsMin, waiting.intervalMs));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return null;
  }

  async #instances(call: Call): Promise<Answer> {
    const { method, query } = call;
    const [instanceId, operation, name] = call.parts;
    if (instanceId === undefined) {
      if (method === 'GET') return this.#list(call);
      if (method === 'DELETE') return this.#purgeBy(query);
      throw noOperation(call);
    }
    assertIdLength(instanceId);
    if (operation === undefined) {
      if (method === 'GET') return this.#status(call, instanceId);
      if (method !== 'DELETE') throw noOperation(call);
      await this.#client.purge(instanceId);
      return { status: 200, body: { instancesDeleted: 1 } };
    }
    const isEvent = operation.toLowerCase() === 'raiseevent';
    const isWhole = call.parts.length === (isEvent ? 3 : 2);
    if (method !== 'POST' || !isWhole) throw noOperation(call);
    const reason = query.freeText('reason') ?? '';
    switch (operation.toLowerCase()) {
      case 'raiseevent':
        return this.#raise(call, instanceId, name ?? '');
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
        const waiting = waitingOf(query);
        const isNewId = query.flag('restartWithNewInstanceId', true);
        return this.#begun(call, await this.#client.restart(instanceId, isNewId), waiting);
      }
      default:
        throw noOperation(call);
    }
  }

  async #raise(call: Call, instanceId: string, name: string): Promise<Answer> {
    await this.#client.assertRunning(instanceId);
    if (name.length > eventNameCharactersMax) {
      throw new Refused(
        400,
        `The event's name has ${name.length} characters; it may have ${eventNameCharactersMax}`,
      );
    }
    if (mediaTypeOf(call.request) !== 'application/json') {
      throw new Refused(400, 'Only application/json request content is supported');
    }
    await this.#client.raise(instanceId, name, assertJson(await textOf(call.request)));
    return { status: 202 };
  }

  async #status(call: Call, instanceId: string, is500?: boolean): Promise<Answer> {
    const { query } = call;
    const instance = await this.#client.get(instanceId);
    if (instance === null) throw missing(instanceId);
    const isHistoryShown = query.flag('showHistory', false) && instance.runtimeStatus !== 'Pending';
    const body = statusOf(
      instance,
      isHistoryShown ? await this.#client.history(instanceId) : null,
      {
        isHistoryOutputShown: query.flag('showHistoryOutput', false),
        isInputShown: query.flag('showInput', true),
      },
    );
    if (!finalStatuses.includes(instance.runtimeStatus)) {
      const location = `${this.#address().httpUrl}${call.request.url ?? ''}`;
      return { status: 202, body, headers: { Location: location, 'Retry-After': '5' } };
    }
    const isError =
      instance.runtimeStatus === 'Failed' &&
      (is500 ?? query.flag('returnInternalServerErrorOnFailure', false));
    return { status: isError ? 500 : 200, body };
  }

  async #list(call: Call): Promise<Answer> {
    const { query } = call;
    const page = await this.#client.page(query.instances(), {
      size: query.pageSize(),
      token: tokenOf(call.request),
    });
    const isInputShown = query.flag('showInput', true);
    return pageAnswer(
      page.instances.map((one) =>
        statusOf(one, null, { isInputShown, isHistoryOutputShown: false }),
      ),
      page.token,
    );
  }

  async #purgeBy(query: ApiQuery): Promise<Answer> {
    const filter = query.instances();
    if (filter.createdTimeFrom === undefined) {
      throw new Refused(400, "Please provide value for 'createdTimeFrom' parameter.", 'text');
    }
    const count = await this.#client.purgeBy(filter);
    if (count === 0) throw missing('nothing to purge');
    return { status: 200, body: { instancesDeleted: count } };
  }

  async #entities(call: Call): Promise<Answer> {
    const { method, parts } = call;
    const [name, key = ''] = parts;
    if (parts.length > 2) throw noOperation(call);
    if (method === 'GET' && key === '') return this.#listEntities(call, name);
    if (!['GET', 'POST', 'DELETE'].includes(method)) throw noOperation(call);
    if (name === undefined) throw new Refused(400, 'Invalid entity id: it has no entity name');
    if (method !== 'GET') return this.#signal(call, { name, key });
    const entity = { name, key: key === emptyEntityKey ? '' : key };
    const fault = instanceIdFault(entityInstanceId(entity));
    if (fault !== null) throw new Refused(400, `Invalid entity id: ${fault}`);
    const state = await this.#client.entityState(entity);
    if (state === null) throw missing(`@${name}@${key}`);
    return { status: 200, body: valueOf(state) };
  }

  async #signal(call: Call, entity: EntityId): Promise<Answer> {
    const operation = call.method === 'DELETE' ? 'delete' : (call.query.text('op') ?? '');
    const body = await textOf(call.request);
    const isJson = mediaTypeOf(call.request) === 'application/json';
    const inputOf = (text: string): string =>
      isJson ? assertJson(text, 'Could not parse JSON content') : JSON.stringify(text);
    await this.#client.signalEntity(entity, operation, body === '' ? null : inputOf(body));
    return { status: 202 };
  }

  /** Entities that exist; `name`: only of this one. */
  async #listEntities(call: Call, name: string | undefined): Promise<Answer> {
    const { query } = call;
    const isStateShown = query.flag('fetchState', false);
    const prefix = name === undefined ? '@' : entityInstanceId({ name, key: '' });
    const page = await this.#client.entities(
      { ...query.entities(), instanceIdPrefix: prefix },
      { size: query.pageSize(), token: tokenOf(call.request) },
    );
    return pageAnswer(
      page.entities.map(({ instance, state }) => ({
        entityId: entityIdOf(instance.instanceId),
        lastOperationTime: instance.lastUpdatedTime,
        state: isStateShown ? valueOf(state) : null,
      })),
      page.token,
    );
  }
}

interface Waiting {
  readonly timeoutMs: number;
  readonly intervalMs: number;
}

/** Null: the caller does not want to wait, which takes both times. */
function waitingOf(query: ApiQuery): Waiting | null {
  const timeout = query.seconds('timeout');
  const interval = query.seconds('pollingInterval');
  if (timeout === undefined || interval === undefined) return null;
  if (interval > timeout) {
    throw new Refused(
      400,
      `Total timeout ${timeout} should be bigger than retry timeout ${interval}`,
    );
  }
  return { timeoutMs: timeout * 1000, intervalMs: interval * 1000 };
}

function pageAnswer(body: readonly unknown[], token: string | null): Answer {
  return { status: 200, body, ...(token !== null && { headers: { [continuationHeader]: token } }) };
}

function tokenOf(request: IncomingMessage): string | null {
  const { [continuationHeader]: token } = request.headers;
  return typeof token === 'string' && token !== '' ? token : null;
}

/** Bodies as the platform has them. */
function refusalOf(error: unknown): Answer {
  if (!(error instanceof Refused)) {
    return {
      status: 500,
      body: {
        Message: 'Something went wrong while processing your request',
        ExceptionMessage: error instanceof Error ? error.message : String(error),
      },
    };
  }
  const { body, message, status } = error;
  if (body === 'none') return { status };
  if (body === 'text') return { status, body: message };
  if (body === 'message') return { status, body: { Message: message } };
  return {
    status,
    body: {
      Message: 'Something went wrong while processing your request',
      ExceptionMessage: message,
      ExceptionType: body.exceptionType,
    },
  };
}

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

function assertIdLength(instanceId: string): void {
  const fault = instanceIdFault(instanceId);
  if (fault !== null) throw new Refused(400, `Invalid instance id: ${fault}`);
}

function noOperation(call: Call): Refused {
  return missing(`${call.method} ${call.parts.join('/')} is no operation of this API`);
}
