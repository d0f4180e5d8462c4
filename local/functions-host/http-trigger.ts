import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { invoke, triggerOf, type HostWorld } from './invoke';

/** The platform's limit for a request body. */
const bodyBytesMax = 100 * 1024 * 1024;

interface Route {
  readonly target: RegisteredFunction;
  readonly methods: readonly string[];
  readonly pattern: RegExp;
  readonly inputName: string;
}

/** One worker's HTTP functions, on a loopback port that the host's front forwards to. */
export class HttpTriggers {
  readonly #app: LoadedApp;
  readonly #world: HostWorld;
  readonly #routes: readonly Route[];
  readonly #server: Server;

  constructor(options: { app: LoadedApp; world: HostWorld; routePrefix: string }) {
    this.#app = options.app;
    this.#world = options.world;
    this.#routes = options.app.functions.flatMap((target) => {
      const trigger = triggerOf(target);
      if (trigger?.type !== 'httpTrigger') return [];
      const route = String(trigger.options['route'] ?? target.name);
      const methods = (trigger.options['methods'] as string[] | undefined) ?? ['GET', 'POST'];
      return [
        {
          target,
          inputName: trigger.name,
          methods: methods.map((method) => method.toUpperCase()),
          pattern: routePattern(
            [options.routePrefix, route].filter((part) => part !== '').join('/'),
          ),
        },
      ];
    });
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#world.log('error', 'Host.Http', String(error));
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
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
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
    const path = url.pathname.replace(/^\/+/, '');
    const method = request.method ?? 'GET';
    for (const route of this.#routes) {
      const match = route.pattern.exec(path);
      if (match === null || !route.methods.includes(method)) continue;
      const body = await readBody(request);
      if (body === null) {
        response.writeHead(413).end();
        return;
      }
      const params = Object.fromEntries(
        Object.entries(match.groups ?? {}).filter(([, value]) => value !== undefined),
      );
      const result = await invoke(
        this.#app,
        route.target,
        {
          inputData: [
            { name: route.inputName, data: { http: httpData(request, url, params, body) } },
          ],
          triggerMetadata: {},
        },
        this.#world,
        'This function was programmatically called via the host APIs.',
      );
      const outgoing = (result.returnValue ??
        result.outputData?.find(({ name }) => name === '$return')?.data) as
        { http?: HttpOutgoing } | undefined;
      write(response, outgoing?.http);
      return;
    }
    response.writeHead(404).end();
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

interface HttpOutgoing {
  readonly statusCode?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly bytes?: Uint8Array; readonly string?: string };
}

function httpData(
  request: IncomingMessage,
  url: URL,
  params: Record<string, string | undefined>,
  body: Buffer,
): Record<string, unknown> {
  const nullable = (entries: Iterable<[string, string]>): Record<string, { value: string }> =>
    Object.fromEntries(Array.from(entries, ([name, value]) => [name, { value }]));
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
    name,
    [value].flat().join(', '),
  ]);
  return {
    url: url.toString(),
    method: request.method,
    nullableHeaders: nullable(headers),
    nullableQuery: nullable(url.searchParams.entries()),
    nullableParams: nullable(Object.entries(params).map(([name, value]) => [name, value ?? ''])),
    ...(body.length > 0 && { body: { bytes: body } }),
  };
}

function write(response: ServerResponse, outgoing: HttpOutgoing | undefined): void {
  if (outgoing === undefined) {
    response.writeHead(204).end();
    return;
  }
  response.writeHead(Number(outgoing.statusCode ?? 200), outgoing.headers ?? {});
  response.end(outgoing.body?.bytes ?? outgoing.body?.string ?? '');
}

async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** ASP.NET route templates: `{x}`, `{x?}`, `{x:int}`, `{*rest}`; literals in any case. */
export function routePattern(template: string): RegExp {
  const segments = template.split('/').map((segment) => {
    const parameter = /^\{(\*?)(\w+)(?::(\w+))?(\?)?\}$/.exec(segment);
    if (parameter === null) return `/${segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`;
    const [, star, name, constraint, optional] = parameter;
    if (star === '*') return `(?:/(?<${name}>.*))?`;
    const value = constraint === 'int' || constraint === 'long' ? '-?\\d+' : '[^/]+';
    return optional === '?' ? `(?:/(?<${name}>${value}))?` : `/(?<${name}>${value})`;
  });
  return new RegExp(`^${segments.join('').replace(/^\//, '')}/?$`, 'i');
}
