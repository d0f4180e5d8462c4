/** One HTTP connection whose every byte a test sends itself, and reads answers from. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const answerTimeoutMs = 20_000;

export class RawConnection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #state: 'open' | 'ended' | 'broken' = 'open';
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('end', () => this.#become('ended'));
    socket.on('error', () => this.#become('broken'));
    socket.on('close', () => this.#wake());
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  #become(state: 'ended' | 'broken'): void {
    if (this.#state === 'open') this.#state = state;
    this.#wake();
  }

  /** `ended`: the server closed in order; `broken`: it reset the connection. */
  get state(): 'open' | 'ended' | 'broken' {
    return this.#state;
  }

  /** Lines of a head, without those of its end. */
  sendHead(...lines: readonly string[]): void {
    this.send(`${lines.join('\r\n')}\r\n\r\n`);
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes, () => undefined);
  }

  /** The next answer, whole. Rejects when the connection ends before. */
  async answer(): Promise<RawAnswer> {
    const headEnd = await this.#until(() => {
      const at = this.#received.indexOf('\r\n\r\n');
      return at < 0 ? null : at;
    });
    const [first = '', ...lines] = this.#received.toString('latin1', 0, headEnd).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    const status = Number(first.split(' ')[1]);
    this.#received = this.#received.subarray(headEnd + 4);
    if (status === 100 || status === 204) return { status, headers, body: '' };
    return { status, headers, body: await this.#body(headers) };
  }

  /** Resolves when the server has closed the connection, or reset it. */
  async over(): Promise<'ended' | 'broken'> {
    return this.#until(() => (this.#state === 'open' ? null : this.#state));
  }

  close(): void {
    this.#socket.destroy();
  }

  async #body(headers: Readonly<Record<string, string>>): Promise<string> {
    if (headers['transfer-encoding'] === 'chunked') {
      let body = '';
      for (;;) {
        const lineEnd = await this.#until(() => {
          const at = this.#received.indexOf('\r\n');
          return at < 0 ? null : at;
        });
        const size = Number.parseInt(this.#received.toString('latin1', 0, lineEnd), 16);
        this.#received = this.#received.subarray(lineEnd + 2);
        body += (await this.#take(size + 2)).toString('utf8', 0, size);
        if (size === 0) return body;
      }
    }
    return (await this.#take(Number(headers['content-length'] ?? 0))).toString('utf8');
  }

  async #take(bytes: number): Promise<Buffer> {
    await this.#until(() => (this.#received.length >= bytes ? true : null));
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }

  async #until<Found>(look: () => Found | null): Promise<Found> {
    const deadline = Date.now() + answerTimeoutMs;
    for (;;) {
      const found = look();
      if (found !== null) return found;
      if (this.#state !== 'open') throw new Error(`the connection ${this.#state} before`);
      if (Date.now() > deadline) throw new Error('no answer came');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
