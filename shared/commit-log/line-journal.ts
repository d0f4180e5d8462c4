import { appendWithReadBack } from './append-with-read-back';
import { StreamError } from '../model/errors';
import type { AppendStore } from '../model/ports';

/**
 * An append blob of JSON lines that several processes write and read: an append counts only if the
 * blob still ends where this process has read to, so whoever appends has seen everything before.
 * Not reentrant. Rejects with STREAM_STORE_UNAVAILABLE (repeat it) and STREAM_LOG_CORRUPT.
 */
export class LineJournal<Line> {
  readonly name: string;
  readonly #appends: AppendStore;
  #position = 0;
  #fresh: Line[] = [];

  constructor(appends: AppendStore, name: string) {
    this.#appends = appends;
    this.name = name;
  }

  /** Lines that this process has not been given yet. */
  async catchUp(): Promise<readonly Line[]> {
    const bytes = await this.#appends.readFrom(this.name, this.#position);
    if (bytes !== undefined) this.#take(bytes);
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** All lines in one append; `conflict`: others wrote first and nothing was appended: catch up. */
  async append(lines: readonly Line[]): Promise<'appended' | 'conflict'> {
    if (this.#fresh.length > 0) return 'conflict';
    const block = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const request = { name: this.name, block, expectedPosition: this.#position };
    let outcome = await appendWithReadBack(this.#appends, request);
    if (outcome === 'missing') {
      await this.#appends.create(this.name);
      outcome = await appendWithReadBack(this.#appends, request);
    }
    if (outcome === 'missing') {
      throw new StreamError(
        'STREAM_STORE_UNAVAILABLE',
        `${this.name} was deleted while it was written`,
      );
    }
    if (outcome.kind === 'appended') this.#position += block.byteLength;
    this.#take(outcome.tail);
    return outcome.kind;
  }

  #take(bytes: Uint8Array): void {
    for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
      if (line !== '') this.#fresh.push(this.#parse(line));
    }
    this.#position += bytes.byteLength;
  }

  #parse(line: string): Line {
    try {
      return JSON.parse(line) as Line;
    } catch (cause) {
      throw new StreamError(
        'STREAM_LOG_CORRUPT',
        `${this.name}: a line after byte ${this.#position} is not JSON; delete the blob if what it tells is not needed`,
        { cause },
      );
    }
  }
}
