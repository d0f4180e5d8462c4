import { request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import { answerHeaderBytesMax, headersAsSent, passAnswer, passBody } from './http-forward';
import { headersOf, queryOf } from './http-message';
import { jsonData, type TypedData } from './typed-data';

/** Without a byte for this long the request is given up. */
const activityTimeoutMs = 240_000;

/** What a streaming function's invocation needs: the request itself goes to the library's own server. */
export function streamMetadata(
  request: IncomingMessage,
  params: Readonly<Record<string, string>>,
): Record<string, TypedData> {
  return {
    ...Object.fromEntries(Object.entries(params).map(([name, value]) => [name, { string: value }])),
    Query: jsonData(queryOf(request)),
    Headers: jsonData(headersOf(request)),
  };
}

/**
 * Passes a request to the server that the functions library runs, while the function is invoked, and
 * streams its answer back as it comes. When the invocation fails nobody answers there: then it is 500
 * here, or a broken connection if the answer had begun.
 */
export async function streamThrough(options: {
  /** The library's server, as it named it at start. */
  readonly httpUri: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly invocationId: string;
  readonly bodyBytesMax: number;
  /** Resolves to whether the function gave an answer; rejects when it failed (and was logged). */
  readonly invocation: () => Promise<boolean>;
}): Promise<void> {
  const { bodyBytesMax, httpUri, invocationId, request, response } = options;
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) {
    response.writeHead(413, { connection: 'close' }).end();
    return;
  }
  const proxied = send({
    host: '127.0.0.1',
    port: new URL(httpUri).port,
    method: request.method,
    path: request.url,
    headers: {
      ...headersAsSent(request),
      'x-ms-invocation-id': invocationId,
      'x-forwarded-host': request.headers.host ?? 'localhost',
      'x-forwarded-proto': 'http',
    },
    maxHeaderSize: answerHeaderBytesMax,
  });
  let isOver = false;
  const fail = (status: number): void => {
    if (isOver) return;
    isOver = true;
    proxied.destroy();
    if (response.headersSent) response.destroy();
    // As Kestrel: a body over the limit ends the connection, too.
    else response.writeHead(status, status === 413 ? { connection: 'close' } : {}).end();
  };
  const answered = new Promise<void>((resolve) => {
    proxied.on('response', (answer) => {
      passAnswer(answer, { request, response, forwarded: proxied });
      answer.on('end', resolve);
    });
    // Also when it was destroyed for a reason below: the answer is decided there.
    proxied.on('error', () => resolve());
    response.on('close', () => {
      if (!response.writableFinished) proxied.destroy();
      resolve();
    });
  });
  proxied.setTimeout(activityTimeoutMs, () => fail(504));
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bodyBytesMax && !isOver) fail(413);
  });
  passBody({ request, response, forwarded: proxied });
  try {
    const hasAnswer = await options.invocation();
    if (hasAnswer) await answered;
    else {
      response.writeHead(204).end();
      proxied.destroy();
    }
  } catch (error) {
    // Logged by the invocation.
    if (!(error instanceof Error)) throw error;
    fail(500);
  }
}
