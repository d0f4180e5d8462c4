import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import { listen } from './listen';
import { WebSockets } from './web-sockets';

/** A client that has not begun to speak AMQP by then is dropped, whatever it speaks instead. */
const beginTimeoutMs = 30_000;

/** First byte of a TLS handshake (RFC 8446 §5.1), of AMQP's own header, and of what HTTP begins with. */
const tlsHandshake = 0x16;
const amqpHeader = 0x41;
const isHttp = (byte: number): boolean => byte > 0x41 && byte <= 0x5a;

/** A fatal alert `handshake_failure` (RFC 8446 §6), which tells a TLS client at once that there is none. */
const handshakeFailure = Buffer.from([0x15, 3, 1, 0, 2, 2, 40]);

/** What a peer is answered that begins otherwise (AMQP 1.0 part 2 §2.2): the header that it should send. */
const ownHeader = Buffer.from('AMQP\u0003\u0001\u0000\u0000', 'latin1');

const distrust = ': perhaps it does not trust the certificate (see --tls)';

export interface FrontPortOptions {
  readonly host: string;
  readonly port: number;
  readonly connectionsMax: number;
  /** Key and certificate; null: clients that speak TLS are told that there is none. */
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly log: (line: string) => void;
  /** Takes a stream of AMQP bytes. */
  readonly onStream: (stream: Duplex) => void;
}

/**
 * The one port for AMQP: plain, over WebSockets, and both over TLS. Which of them a client speaks is
 * seen by its first byte.
 */
export class FrontPort {
  readonly #options: FrontPortOptions;
  readonly #server: Server;
  readonly #tls: SecureContext | null;
  readonly #webSockets: WebSockets;
  /** Every connection, whatever it speaks, and when it must have begun to speak AMQP. */
  readonly #deadlines = new Map<Socket, NodeJS.Timeout | undefined>();

  constructor(options: FrontPortOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionsMax;
    this.#tls = options.tls === null ? null : createSecureContext(options.tls);
    this.#webSockets = new WebSockets({
      host: options.host,
      log: options.log,
      onStream: (stream, socket) => this.#begin(stream, socket),
    });
  }

  async listen(): Promise<number> {
    return listen(this.#server, { ...this.#options, option: '--port' });
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    const deadline = setTimeout(() => {
      this.#options.log(`client ended: it did not begin in ${beginTimeoutMs / 1_000} s`);
      socket.destroy();
    }, beginTimeoutMs);
    socket.on('close', () => clearTimeout(deadline));
    // A reset before anybody listens for it; who speaks AMQP has more to say of it.
    socket.on('error', () => socket.destroy());
    this.#watch(socket, deadline);
    this.#sniff(socket);
  }

  #watch(socket: Socket, deadline: NodeJS.Timeout | undefined): void {
    this.#deadlines.set(socket, deadline);
    socket.on('close', () => this.#deadlines.delete(socket));
  }

  #sniff(socket: Socket): void {
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.unshift(chunk);
      this.#route(socket, chunk);
    });
  }

  #route(socket: Socket, chunk: Buffer): void {
    const byte = chunk[0] ?? 0;
    const isEncrypted = socket instanceof TLSSocket;
    if (byte === amqpHeader) {
      this.#begin(socket, socket);
      socket.resume();
    } else if (isHttp(byte)) {
      this.#webSockets.take(socket);
    } else if (byte === tlsHandshake && !isEncrypted) {
      this.#takeTls(socket);
    } else {
      const bytes = chunk.subarray(0, 8).toString('hex');
      this.#options.log(
        `client ended: it begins with the bytes ${bytes}, which are neither AMQP nor TLS nor HTTP: this port is for AMQP 1.0 alone (Kafka clients are not served)`,
      );
      socket.end(ownHeader);
      socket.resume();
    }
  }

  #takeTls(socket: Socket): void {
    if (this.#tls === null) {
      this.#options.log(
        'client ended: it speaks TLS, which is off: start with --tls, or add UseDevelopmentEmulator=true to its connection string',
      );
      socket.end(handshakeFailure);
      socket.resume();
      return;
    }
    const encrypted = new TLSSocket(socket, { isServer: true, secureContext: this.#tls });
    this.#watch(encrypted, this.#deadlines.get(socket));
    encrypted.on('error', (error: Error) => {
      this.#options.log(`client ended: TLS: ${error.message}${isBegun ? '' : distrust}`);
      encrypted.destroy();
    });
    let isBegun = false;
    encrypted.once('secure', () => {
      encrypted.once('data', () => {
        isBegun = true;
      });
      this.#sniff(encrypted);
    });
    encrypted.on('close', (isFailed) => {
      socket.destroy();
      // With TLS 1.3 some clients end the handshake before they look at the certificate.
      if (!isBegun && !isFailed) this.#options.log(`client ended: TLS: it said nothing${distrust}`);
    });
  }

  /** From here on the AMQP connection looks after its own time. */
  #begin(stream: Duplex, socket: Socket): void {
    clearTimeout(this.#deadlines.get(socket));
    this.#options.onStream(stream);
  }

  /** Lets nobody in any more, and ends who has not begun to speak AMQP. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#deadlines.keys()) socket.destroy();
    await closed;
  }
}
