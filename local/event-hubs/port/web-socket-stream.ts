import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

const headerBytes = 8;
const frameSizeBytes = 4;

/**
 * A WebSocket as the stream of AMQP bytes that it carries (OASIS AMQP WebSocket binding). Each frame is
 * a message of its own: some clients have room for no more than their max-frame-size in one.
 */
export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket;
  /** Bytes of a frame that are still to be written. */
  #frameRest = 0;

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on('message', (data: RawData, isBinary) => {
      if (!isBinary) {
        socket.close(1003, 'AMQP is binary');
        return;
      }
      if (!this.push(bytesOf(data))) socket.pause();
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => {
      this.push(null);
      this.destroy();
    });
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const pieces = this.#pieces(chunk);
    const last = pieces.pop();
    if (last === undefined) return done();
    for (const piece of pieces) this.#socket.send(piece);
    this.#socket.send(last, (error) => done(error ?? null));
  }

  /** Cut where frames end. */
  #pieces(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < chunk.length;) {
      if (this.#frameRest === 0) this.#frameRest = lengthAt(chunk, at);
      const end = Math.min(chunk.length, at + this.#frameRest);
      pieces.push(chunk.subarray(at, end));
      this.#frameRest -= end - at;
      at = end;
    }
    return pieces;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.terminate();
    done(error);
  }
}

/** Of the frame or protocol header that begins there; the rest of the chunk, when it is cut before that. */
function lengthAt(chunk: Buffer, at: number): number {
  if (chunk.length - at < frameSizeBytes) return chunk.length - at;
  if (chunk.toString('latin1', at, at + frameSizeBytes) === 'AMQP') return headerBytes;
  return Math.max(headerBytes, chunk.readUInt32BE(at));
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
