import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';

/** A function may set what it likes; Kestrel has no limit for answers. */
export const answerHeaderBytesMax = 1_048_576;

/** They concern one connection, not the message that passes over two (RFC 9110 §7.6.1). */
const hopHeaders = new Set(['keep-alive', 'proxy-connection', 'transfer-encoding']);

/** A request that is passed on to another server, and where its answer goes. */
export interface Passage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly forwarded: ClientRequest;
}

/** Passes the body on as it comes; who waits to be asked for it is asked when the other server does. */
export function passBody({ forwarded, request, response }: Passage): void {
  forwarded.on('continue', () => response.writeContinue());
  request.pipe(forwarded);
}

/** Passes an answer back as it comes. When it is whole, what is left of the body concerns nobody. */
export function passAnswer(answer: IncomingMessage, passage: Passage): void {
  const { forwarded, request, response } = passage;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, passedHeaders(answer));
  // Headers of a stream go out before its first byte is there.
  response.flushHeaders();
  answer.pipe(response);
  answer.on('error', () => response.destroy());
  answer.on('end', () => {
    if (request.complete) return;
    request.unpipe(forwarded);
    request.resume();
    forwarded.destroy();
  });
}

/** Asks whoever waits to be asked for the body. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
}

/** Headers as they came, each as often as it came. */
export function headersAsSent(message: IncomingMessage): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(message.headersDistinct).map(([name, values = []]) => [
      name,
      values.length === 1 ? (values[0] ?? '') : values,
    ]),
  );
}

function passedHeaders(answer: IncomingMessage): Record<string, string | string[]> {
  const isClosing = /\bclose\b/i.test(answer.headers.connection ?? '');
  return Object.fromEntries(
    Object.entries(headersAsSent(answer)).filter(
      ([name]) => !hopHeaders.has(name) && (name !== 'connection' || isClosing),
    ),
  );
}
