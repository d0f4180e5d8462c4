import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { settingsOf } from './bindings';
import { askForBody } from './http-forward';
import { isAllowed, keyOf, type AuthLevel, type HostKeys } from './http-keys';
import {
  bodyBytesMaxOf,
  decodePath,
  httpData,
  readBody,
  urlOf,
  writeOutgoing,
  type HttpOutgoing,
} from './http-message';
import { streamMetadata, streamThrough } from './http-stream';
import { invoke, triggerOf, type HostWorld } from './invoke';
import { callFunction } from './manual-call';
import { parsedHeaderBytesMax } from './request-check';
import { parseRoute, type Route } from './route-template';
import { surviveUnreadBodies } from './unread-body';

/** The host sends nothing more to a worker that ends; this long a request may have been on its way. */
const quietToDrainMs = 100;
const drainPollMs = 20;

const reason = 'This function was programmatically called via the host APIs.';

interface HttpFunction {
  readonly target: RegisteredFunction;
  /** None: all. */
  readonly methods: readonly string[];
  readonly route: Route;
  readonly level: AuthLevel;
  readonly inputName: string;
}

export interface HttpTriggersOptions {
  readonly app: LoadedApp;
  /** Functions that are not found, but for the administrator who has a key. */
  readonly disabled: ReadonlySet<string>;
  readonly world: HostWorld;
  readonly settings: Readonly<Record<string, string>>;
  readonly routePrefix: string;
  readonly customHeaders: Readonly<Record<string, string>>;
  /** null: authorization is off, every caller is the administrator. */
  readonly keys: HostKeys | null;
}

/** One worker's HTTP functions, on a loopback port that the host's front forwards to. */
export class HttpTriggers {
  readonly #options: HttpTriggersOptions;
  readonly #functions: readonly HttpFunction[];
  readonly #bodyBytesMax: number;
  readonly #server: Server;
  #underWay = 0;

  constructor(options: HttpTriggersOptions) {
    this.#options = options;
    this.#bodyBytesMax = bodyBytesMaxOf(options.settings);
    this.#functions = options.app.functions
      .flatMap((target) => this.#httpFunction(target))
      .sort((left, right) => (left.route.rank < right.route.rank ? -1 : 1));
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#underWay += 1;
      response.once('close', () => {
        this.#underWay -= 1;
      });
      this.#answer(request, response).catch((error: unknown) => {
        options.world.log('error', 'Host.Http', String(error));
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    };
    this.#server = createServer({ maxHeaderSize: parsedHeaderBytesMax }, answer);
    this.#server.on('checkContinue', answer);
    surviveUnreadBodies(this.#server, { bytesMax: this.#bodyBytesMax });
    // A stream may be quiet for longer than the defaults allow.
    this.#server.requestTimeout = 0;
  }

  #httpFunction(target: RegisteredFunction): HttpFunction[] {
    const trigger = triggerOf(target);
    if (trigger?.type !== 'httpTrigger') return [];
    const { routePrefix, settings } = this.#options;
    const path = settingsOf(target, trigger.options, settings).setting('route') || target.name;
    const methods = (trigger.options['methods'] as string[] | undefined) ?? ['GET', 'POST'];
    return [
      {
        target,
        inputName: trigger.name,
        level: String(trigger.options['authLevel'] ?? 'function').toLowerCase() as AuthLevel,
        methods: methods.map((method) => method.toUpperCase()),
        route: parseRoute(target.name, [routePrefix, path]),
      },
    ];
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = urlOf(request).pathname;
    if (/^\/admin\/functions(?:\/|$)/i.test(decodePath(path))) {
      // Asked here too: `/x/../admin/functions` looks like no admin route to who only compares texts.
      if (!isAllowed(this.#options.keys, keyOf(request), { level: 'admin' })) {
        response.writeHead(401).end();
        return;
      }
      return callFunction(request, response, path, this.#options);
    }
    for (const one of this.#functions) {
      const isMeant = one.methods.length === 0 || one.methods.includes(request.method ?? 'GET');
      const params = isMeant ? one.route.match(path) : null;
      if (params === null) continue;
      const wanted = { level: one.level, functionName: one.target.name };
      if (!isAllowed(this.#options.keys, keyOf(request), wanted)) {
        response.writeHead(401).end();
        return;
      }
      if (this.#options.disabled.has(one.target.name) && !this.#isAdministrator(request)) break;
      for (const [name, value] of Object.entries(this.#options.customHeaders)) {
        response.setHeader(name, value);
      }
      if (this.#options.app.httpUri === null) return this.#call(one, request, response, params);
      return this.#stream(one, request, response, params, this.#options.app.httpUri);
    }
    response.writeHead(404).end();
  }

  /** Without keys nobody is, here: what a developer disabled is not to run. */
  #isAdministrator(request: IncomingMessage): boolean {
    const { keys } = this.#options;
    return keys !== null && isAllowed(keys, keyOf(request), { level: 'admin' });
  }

  async #call(
    one: HttpFunction,
    request: IncomingMessage,
    response: ServerResponse,
    params: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { app, world } = this.#options;
    askForBody(request, response);
    const body = await readBody(request, this.#bodyBytesMax);
    if (body === null) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    // As the host: a body whose length is not declared does not reach the function.
    const isDeclared = Number(request.headers['content-length'] ?? 0) > 0;
    if (!isDeclared && body.length > 0) {
      world.log(
        'warning',
        `Function.${one.target.name}`,
        'the request has a body without content-length: the host does not pass it on (enableHttpStream does)',
      );
    }
    const data = { http: httpData(request, params, isDeclared ? body : Buffer.alloc(0)) };
    let outgoing: { readonly http?: HttpOutgoing } | null | undefined;
    try {
      const answer = await invoke(
        app,
        one.target,
        { inputData: [{ name: one.inputName, data }], triggerMetadata: {} },
        world,
        reason,
      );
      outgoing = (answer.returnValue ??
        answer.outputData?.find(({ name }) => name === httpOutputOf(one.target))
          ?.data) as typeof outgoing;
    } catch (error) {
      // Logged by the invocation.
      if (!(error instanceof Error)) throw error;
      response.writeHead(500).end();
      return;
    }
    writeOutgoing(response, outgoing?.http);
  }

  #stream(
    one: HttpFunction,
    request: IncomingMessage,
    response: ServerResponse,
    params: Readonly<Record<string, string>>,
    httpUri: string,
  ): Promise<void> {
    const { app, world } = this.#options;
    const invocationId = randomUUID();
    return streamThrough({
      ...{ httpUri, request, response, invocationId },
      bodyBytesMax: this.#bodyBytesMax,
      invocation: async () => {
        const { hasResult } = await invoke(
          app,
          one.target,
          {
            inputData: [{ name: one.inputName, data: { http: {} } }],
            triggerMetadata: streamMetadata(request, params),
          },
          world,
          reason,
          { invocationId },
        );
        return hasResult;
      },
    });
  }

  /** Waits for answers under way, those that just come in too, but not for longer than the grace. */
  async drain(graceMs: number): Promise<void> {
    const untilMs = Date.now() + graceMs;
    for (let quietMs = 0; quietMs < quietToDrainMs && Date.now() < untilMs;) {
      await sleep(drainPollMs);
      quietMs = this.#underWay === 0 ? quietMs + drainPollMs : 0;
    }
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** An HTTP answer may also be one of the function's named outputs. */
function httpOutputOf(target: RegisteredFunction): string | undefined {
  return Object.entries(target.bindings).find(
    ([, binding]) => binding.type.toLowerCase() === 'http' && binding['direction'] === 'out',
  )?.[0];
}
