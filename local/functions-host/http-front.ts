import {
  createServer,
  request as send,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { answerHeaderBytesMax, headersAsSent, passAnswer, passBody } from './http-forward';
import { isAllowed, keyOf, type HostKeys } from './http-keys';
import { decodePath, urlOf } from './http-message';
import { checkRequest, parsedHeaderBytesMax, type TrustedCallers } from './request-check';
import { surviveUnreadBodies } from './unread-body';

export interface HttpFrontOptions {
  /** The port of a worker that is ready; null: there is none. */
  readonly workerPort: () => number | null;
  readonly status: () => unknown;
  readonly drain: () => void;
  readonly drainState: () => unknown;
  readonly resume: () => void;
  readonly bodyBytesMax: number;
  /** null: every caller is the administrator. */
  readonly keys: HostKeys | null;
  /** Who may call beside this machine's own programs and pages. */
  readonly trusted: () => TrustedCallers;
  /** An answer could not be made. */
  readonly failed: (error: unknown) => void;
  /** Answers requests itself; false: the request is not its own. */
  readonly extension: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Kestrel's KeepAliveTimeout. */
const keepAliveTimeoutMs = 130_000;
/** The host's HTTP port: its own admin routes, and everything else to a worker. */
export class HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #server: Server;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answerOrFail(request, response);
    this.#server = createServer({ maxHeaderSize: parsedHeaderBytesMax }, answer);
    // As Kestrel: whoever waits to be asked for the body is asked when somebody reads it.
    this.#server.on('checkContinue', answer);
    surviveUnreadBodies(this.#server, { bytesMax: options.bodyBytesMax });
    this.#server.keepAliveTimeout = keepAliveTimeoutMs;
    // A stream may be quiet for longer than the defaults allow.
    this.#server.requestTimeout = 0;
  }

  /** Rejects with a clear error when the port is taken. */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new Error(
                `the HTTP port ${port} is taken by another program: choose another (0: any)`,
              )
            : error,
        ),
      );
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** No request, whatever is in it, may end the host. */
  #answerOrFail(request: IncomingMessage, response: ServerResponse): void {
    try {
      this.#answer(request, response);
    } catch (error) {
      this.#options.failed(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const refusal = checkRequest(request, this.#options.trusted());
    if (refusal !== null) {
      if (refusal.status !== 403) response.setHeader('connection', 'close');
      return json(response, refusal.status, { error: refusal.reason });
    }
    const path = decodePath(urlOf(request).pathname).toLowerCase();
    const isAdmin = path === '/admin' || path.startsWith('/admin/');
    if (path === '/admin/host/ping') return json(response, 200, {});
    if (isAdmin && !isAllowed(this.#options.keys, keyOf(request), { level: 'admin' })) {
      response.writeHead(401).end();
      return;
    }
    switch (`${request.method} ${path}`) {
      case 'GET /admin/host/status':
        return json(response, 200, this.#options.status());
      case 'POST /admin/host/drain':
        this.#options.drain();
        return json(response, 202, {});
      case 'GET /admin/host/drain/status':
        return json(response, 200, this.#options.drainState());
      case 'POST /admin/host/resume':
        this.#options.resume();
        return json(response, 200, { state: 'Running' });
      default:
        if (this.#options.extension(request, response)) return;
        return this.#forward(request, response);
    }
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const port = this.#options.workerPort();
    if (port === null) return json(response, 503, { error: 'no worker is ready' });
    const forwarded = send(
      {
        host: '127.0.0.1',
        port,
        method: request.method,
        path: request.url,
        headers: headersAsSent(request),
        maxHeaderSize: answerHeaderBytesMax,
      },
      (answer) => passAnswer(answer, { request, response, forwarded }),
    );
    forwarded.on('error', (error) => {
      if (response.writableEnded) return;
      if (!response.headersSent) json(response, 502, { error: error.message });
      else response.destroy();
    });
    response.on('close', () => {
      if (!response.writableFinished) forwarded.destroy();
    });
    passBody({ request, response, forwarded });
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
