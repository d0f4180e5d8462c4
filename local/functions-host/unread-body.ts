import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Kestrel's RequestBodyDrainTimeout: what is left of a body may pause for this long. */
const drainIdleMs = 5_000;

export interface UnreadBodyOptions {
  /** What is left of a body is read up to this many bytes; then the connection ends. */
  readonly bytesMax: number;
  readonly idleMs?: number;
}

/**
 * Lets a server answer before a request's body is there, as Kestrel does: the caller gets the answer,
 * what it still sends is read and dropped, and the connection serves the next request. A connection
 * that is to end is closed for writing first: to close a socket that has unread bytes resets it, and
 * the caller would lose the answer.
 */
export function surviveUnreadBodies(server: Server, options: UnreadBodyOptions): void {
  const { bytesMax, idleMs = drainIdleMs } = options;
  const answers = new WeakMap<Socket, ServerResponse>();
  server.on('connection', (socket: Socket) => {
    // Node calls this where it ends a connection after an answer.
    socket.destroySoon = () => endGently(socket, idleMs);
  });
  const watch = (request: IncomingMessage, response: ServerResponse): void => {
    answers.set(request.socket, response);
    response.once('finish', () => {
      if (!request.complete) dropRest(request, { bytesMax, idleMs });
    });
  };
  server.prependListener('request', watch);
  server.prependListener('checkContinue', (request, response) => {
    // Node would end the connection of who was not asked for the body; he may send it all the same.
    if (!/\bclose\b/i.test(request.headers.connection ?? '')) {
      response.setHeader('connection', 'keep-alive');
    }
    watch(request, response);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, duplex) => {
    const socket = duplex as Socket;
    const answer = answers.get(socket);
    const isAnswering = answer?.headersSent === true && !answer.writableFinished;
    if (isAnswering || !socket.writable) socket.destroy();
    else refuseGarbage(error, socket, idleMs);
  });
}

/** Answers what is no request at all, as Kestrel: with a status, and the connection ends. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket, idleMs: number): void {
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  endGently(socket, idleMs);
}

function dropRest(request: IncomingMessage, { bytesMax, idleMs }: Required<UnreadBodyOptions>) {
  const end = (): void => void request.socket.destroy();
  let timer = setTimeout(end, idleMs).unref();
  let bytes = 0;
  request.unpipe();
  request.on('data', (chunk: Buffer) => {
    clearTimeout(timer);
    bytes += chunk.length;
    if (bytes > bytesMax) end();
    else timer = setTimeout(end, idleMs).unref();
  });
  request.once('close', () => clearTimeout(timer));
  request.resume();
}

function endGently(socket: Socket, idleMs: number): void {
  if (socket.destroyed) return;
  const destroy = (): void => void socket.destroy();
  socket.end();
  socket.once('end', destroy);
  socket.setTimeout(idleMs, destroy);
  socket.resume();
}
