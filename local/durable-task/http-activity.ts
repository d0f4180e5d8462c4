/**
 * callHttp's request as the platform makes it: with what the orchestrator gave and nothing more, and
 * after redirects as .NET's HttpClientHandler follows them.
 */
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { HttpRequest, HttpResult } from './actions';
import { FunctionFailed } from './worker-pool';

const timeoutMs = 100_000;
const redirectsMax = 50;
const redirectStatuses = [300, 301, 302, 303, 307, 308];
const contentBytesMax = 100 * 1024 * 1024;

interface Sending {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly content: string | null;
}

/** JSON text of a HttpResult. */
export async function httpActivity(input: string): Promise<string> {
  const [request] = JSON.parse(input) as [HttpRequest];
  if (request.tokenSource !== undefined && request.tokenSource !== null) {
    throw new FunctionFailed(
      'callHttp with a token source needs a managed identity; there is none on this machine',
    );
  }
  try {
    return JSON.stringify(await answerTo(request));
  } catch (error) {
    if (error instanceof FunctionFailed) throw error;
    throw new FunctionFailed(`${request.method} ${request.uri}: ${String(error)}`);
  }
}

/** Too many redirects end with the last of them as the answer. */
async function answerTo(request: HttpRequest): Promise<HttpResult> {
  const signal = AbortSignal.timeout(timeoutMs);
  let sending = firstOf(request);
  for (let redirects = 0; ; redirects += 1) {
    const result = await send(sending, signal);
    const next = redirects < redirectsMax ? redirectOf(sending, result) : null;
    if (next === null) return result;
    sending = next;
  }
}

function firstOf({ content, headers = {}, method, uri }: HttpRequest): Sending {
  const url = urlOf(uri);
  const hasType = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  const text = content ?? null;
  return {
    method: method.toUpperCase(),
    url,
    headers: { ...headers, ...(text !== null && !hasType && { 'Content-Type': 'text/plain' }) },
    content: text,
  };
}

function urlOf(uri: string): URL {
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new FunctionFailed(`callHttp: '${uri}' is no http or https URL`);
}

/** Null: the answer is no redirect, or one that is not followed. */
function redirectOf(sent: Sending, { headers, statusCode }: HttpResult): Sending | null {
  const location = [headers['location']].flat()[0];
  if (!redirectStatuses.includes(statusCode) || location === undefined) return null;
  if (!URL.canParse(location, sent.url.href)) return null;
  const url = new URL(location, sent.url);
  if (url.hash === '') url.hash = sent.url.hash;
  // From a secure place to one that is not, or to something else than the web: never.
  if (sent.url.protocol === 'https:' && url.protocol !== 'https:') return null;
  const becomesGet =
    statusCode === 303
      ? !['GET', 'HEAD'].includes(sent.method)
      : statusCode <= 302 && sent.method === 'POST';
  const isLeftOut = (name: string): boolean =>
    name === 'authorization' || (becomesGet && name.startsWith('content-'));
  return {
    method: becomesGet ? 'GET' : sent.method,
    url: urlOf(url.href),
    headers: Object.fromEntries(
      Object.entries(sent.headers).filter(([name]) => !isLeftOut(name.toLowerCase())),
    ),
    content: becomesGet ? null : sent.content,
  };
}

function send(
  { content, headers, method, url }: Sending,
  signal: AbortSignal,
): Promise<HttpResult> {
  const make = url.protocol === 'https:' ? secureRequest : plainRequest;
  const body = content === null ? null : Buffer.from(content);
  return new Promise((resolve, reject) => {
    const outgoing = make(
      url,
      {
        method,
        signal,
        headers: {
          ...(headers as Record<string, string | string[]>),
          ...(body !== null && { 'Content-Length': body.length }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > contentBytesMax) {
            response.destroy(new Error(`the answer is over ${contentBytesMax} bytes`));
          } else chunks.push(chunk);
        });
        response.once('error', reject);
        response.once('end', () => {
          resolve({
            statusCode: response.statusCode ?? 0,
            headers: headersOf(response.headersDistinct),
            content: new TextDecoder().decode(Buffer.concat(chunks)),
          });
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body ?? undefined);
  });
}

function headersOf(
  distinct: Readonly<Record<string, string[] | undefined>>,
): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(distinct).map(([name, values = []]) => [
      name,
      values.length === 1 ? (values[0] ?? '') : values,
    ]),
  );
}
