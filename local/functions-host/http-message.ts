import type { IncomingMessage, ServerResponse } from 'node:http';

/** The platform's limit for a request body, unless FUNCTIONS_REQUEST_BODY_SIZE_LIMIT says another. */
const defaultBodyBytesMax = 104_857_600;

export function bodyBytesMaxOf(settings: Readonly<Record<string, string>>): number {
  const limit = Number(settings['FUNCTIONS_REQUEST_BODY_SIZE_LIMIT'] ?? defaultBodyBytesMax);
  return Number.isInteger(limit) && limit > 0 ? limit : defaultBodyBytesMax;
}

/** What an HTTP function gave back, in the shape that the library makes of it. */
export interface HttpOutgoing {
  readonly statusCode?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly HttpCookie[];
  readonly body?: { readonly bytes?: Uint8Array; readonly string?: string };
}

interface Nullable<Value> {
  readonly value?: Value;
}

interface HttpCookie {
  readonly name: string;
  readonly value: string;
  readonly domain?: Nullable<string>;
  readonly path?: Nullable<string>;
  readonly expires?: Nullable<number | Date | { readonly seconds?: number }>;
  readonly secure?: Nullable<boolean>;
  readonly httpOnly?: Nullable<boolean>;
  readonly maxAge?: Nullable<number>;
  readonly sameSite?: 'none' | 'lax' | 'strict' | 'explicitNone';
}

/** The URL a caller asked for. */
export function urlOf(request: IncomingMessage): URL {
  const { headers, url = '/' } = request;
  const origin = `http://${headers.host ?? 'localhost'}`;
  // Two slashes at its start are the path's: they name no host.
  return url.startsWith('/') ? new URL(`${origin}${url}`) : new URL(url, origin);
}

export function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
  );
}

/** A request as the host sends it to the worker (RpcHttp). */
export function httpData(
  request: IncomingMessage,
  params: Readonly<Record<string, string>>,
  body: Buffer,
): Record<string, unknown> {
  const nullable = (entries: Iterable<[string, string]>): Record<string, { value: string }> =>
    Object.fromEntries(Array.from(entries, ([name, value]) => [name, { value }]));
  const url = urlOf(request);
  return {
    url: url.toString(),
    method: request.method,
    nullableHeaders: nullable(Object.entries(headersOf(request))),
    nullableQuery: nullable(url.searchParams.entries()),
    nullableParams: nullable(Object.entries(params)),
    ...(body.length > 0 && { body: { bytes: body } }),
  };
}

/** Writes what a function gave back; nothing at all is 204. */
export function writeOutgoing(response: ServerResponse, outgoing: HttpOutgoing | undefined): void {
  if (outgoing === undefined) {
    response.writeHead(204).end();
    return;
  }
  for (const [name, value] of Object.entries(outgoing.headers ?? {})) {
    response.setHeader(name, value);
  }
  const cookies = outgoing.cookies ?? [];
  if (cookies.length > 0) response.setHeader('set-cookie', cookies.map(cookieText));
  response.writeHead(Number(outgoing.statusCode ?? 200));
  response.end(outgoing.body?.bytes ?? outgoing.body?.string ?? '');
}

function cookieText(cookie: HttpCookie): string {
  const { domain, expires, httpOnly, maxAge, path, sameSite, secure } = cookie;
  const parts = [`${encodeURIComponent(cookie.name)}=${encodeURIComponent(cookie.value)}`];
  if (domain?.value) parts.push(`Domain=${domain.value}`);
  if (path?.value) parts.push(`Path=${path.value}`);
  if (expires?.value !== undefined) parts.push(`Expires=${dateOf(expires.value).toUTCString()}`);
  if (maxAge?.value !== undefined) parts.push(`Max-Age=${maxAge.value}`);
  if (secure?.value === true) parts.push('Secure');
  if (httpOnly?.value === true) parts.push('HttpOnly');
  const site = { none: null, lax: 'Lax', strict: 'Strict', explicitNone: 'None' }[
    sameSite ?? 'none'
  ];
  if (site !== null) parts.push(`SameSite=${site}`);
  return parts.join('; ');
}

function dateOf(value: number | Date | { readonly seconds?: number }): Date {
  if (value instanceof Date) return value;
  return new Date(typeof value === 'number' ? value : (value.seconds ?? 0) * 1000);
}

/** The whole body; null: it is over the limit. */
export async function readBody(
  request: IncomingMessage,
  bodyBytesMax: number,
): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
