import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { refusalOfPage } from './pages';
import { WebSocketStream } from './web-socket-stream';

/** Where all SDKs look for it; some end it with a slash. */
const path = '/$servicebus/websocket';
/** Event Hubs' own name first, then that of the OASIS binding. */
const subprotocols = ['AMQPWSB10', 'amqp'];
const headerBytesMax = 16 * 1024;
/** Of one message of a WebSocket: SDKs send a few frames in one at most. */
const messageBytesMax = 4 * 1024 * 1024;

export interface WebSocketsOptions {
  /** That the port listens on. */
  readonly host: string;
  readonly log: (line: string) => void;
  readonly onStream: (stream: Duplex, socket: Socket) => void;
}

/** The part of the port that speaks HTTP: an upgrade to AMQP over WebSockets, and a no to all else. */
export class WebSockets {
  readonly #options: WebSocketsOptions;
  readonly #http: Server;
  readonly #upgrades = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    // Offered by some; bytes of events go through memory once less without.
    perMessageDeflate: false,
    handleProtocols: (offered) => subprotocols.find((one) => offered.has(one)) ?? false,
  });

  constructor(options: WebSocketsOptions) {
    this.#options = options;
    this.#http = createServer({ maxHeaderSize: headerBytesMax }, (request, response) => {
      const text = `This port speaks AMQP 1.0, plain and over WebSockets (${path}). Health, hubs and faults are on the control port.\n`;
      this.#options.log(`client ended: ${request.method} ${request.url}: ${text.trim()}`);
      response
        .writeHead(426, {
          ...{ connection: 'close', upgrade: 'websocket', 'content-type': 'text/plain' },
        })
        .end(text);
    });
    this.#http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
      this.#refuse(socket, status, `no HTTP request that can be read (${error.message})`);
    });
  }

  /** Takes a connection whose first bytes are those of a request. */
  take(socket: Socket): void {
    this.#http.emit('connection', socket);
    socket.resume();
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const refusal = refusalOf(request, this.#options.host);
    if (refusal !== null) {
      this.#refuse(socket, refusal.status, refusal.reason);
      return;
    }
    this.#upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      this.#options.onStream(new WebSocketStream(webSocket), socket);
    });
  }

  #refuse(socket: Socket, status: number, reason: string): void {
    this.#options.log(`client ended: ${status}: ${reason}`);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(
      [
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        ...['Connection: close', 'Content-Type: text/plain; charset=utf-8'],
        ...[`Content-Length: ${Buffer.byteLength(reason)}`, '', reason],
      ].join('\r\n'),
    );
  }
}

function refusalOf(
  request: IncomingMessage,
  host: string,
): { readonly status: number; readonly reason: string } | null {
  const page = refusalOfPage(request, host);
  if (page !== null) return { status: 403, reason: page };
  const wanted = pathOf(request.url ?? '');
  if (wanted !== path) {
    return { status: 404, reason: `nothing is at ${wanted}: AMQP over WebSockets is at ${path}` };
  }
  const offered = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((one) => one.trim());
  if (!subprotocols.some((one) => offered.includes(one))) {
    return {
      status: 400,
      reason: `Sec-WebSocket-Protocol must offer ${subprotocols.join(' or ')}`,
    };
  }
  return null;
}

/** The path of a request line, which may have the absolute form (RFC 9112 §3.2.2), as Java's has. */
function pathOf(target: string): string {
  const [path = ''] = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/);
  const plain = path.replace(/%24/g, '$').replace(/\/+$/, '');
  return plain.toLowerCase();
}
