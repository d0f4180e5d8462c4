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

/** A path as Kestrel gives it: decoded, but for a slash that was encoded, and for what decodes to no text. */
export function decodePath(path: string): string {
  return path.replace(/(?:%[\da-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded.replace(/%(?=2f)/gi, '%25'));
    } catch (error) {
      if (error instanceof URIError) return encoded;
      throw error;
    }
  });
}

/** Headers by their names in small letters; the values of one that came several times, as .NET joins them. */
export function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headersDistinct).map(([name, values = []]) => [name, values.join(',')]),
  );
}

/** Query parameters, names in any case: one that came several times has all its values. */
export function queryOf(request: IncomingMessage): Record<string, string> {
  const query = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const [name, value] of urlOf(request).searchParams) {
    const known = query.get(name.toLowerCase());
    if (known === undefined) query.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  return Object.fromEntries(
    Array.from(query.values(), ({ name, values }) => [name, values.join(',')]),
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
    nullableQuery: nullable(Object.entries(queryOf(request))),
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

/**
 * The whole body; null: it is over the limit. What comes then is read and dropped, so that the caller
 * hears of it.
 */
export function readBody(request: IncomingMessage, bodyBytesMax: number): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bodyBytesMax) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      resolve(null);
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}
