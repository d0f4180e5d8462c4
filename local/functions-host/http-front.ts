import {
  createServer,
  request as send,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';

export interface HttpFrontOptions {
  /** The port of a worker that is ready; null: there is none. */
  readonly workerPort: () => number | null;
  readonly status: () => unknown;
  readonly drain: () => Promise<void>;
}

/** The host's HTTP port: its own admin routes, and everything else to a worker. */
export class HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #server: Server;

  constructor(options: HttpFrontOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const route = `${request.method} ${request.url?.split('?')[0] ?? '/'}`;
    if (route === 'GET /admin/host/status') return json(response, 200, this.#options.status());
    if (route === 'GET /admin/host/ping' || route === 'POST /admin/host/ping')
      return json(response, 200, {});
    if (route === 'POST /admin/host/drain') {
      void this.#options.drain();
      return json(response, 202, {});
    }
    this.#forward(request, response);
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
        headers: request.headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', (error) => {
      if (!response.headersSent) json(response, 502, { error: error.message });
      else response.destroy();
    });
    request.pipe(forwarded);
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
