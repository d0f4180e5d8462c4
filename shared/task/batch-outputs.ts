import { crc32 } from 'node:zlib';
import { invariant } from '../model/errors';
import type { DeadLetter, TableRows } from '../model/commit';
import type { ExchangeEvent, NewDeadLetter, ProgramOutputs, StagePlan } from '../model/program';
import { rowText } from '../model/cells';
import type { Row } from '../model/table';
import { Outbox } from '../delivery/exchange/outbox';
import type { TaskStores } from '../state/task-stores';
import { tooLarge } from './commit-cut';
import { keptPayload } from './dead-letter-payload';

/**
 * Of a commit's bytes, what a dead letter's payload may take before base64 and what its message may:
 * with what else a commit of one event says, a dead letter always fits.
 */
const payloadShareMax = 0.375;
const messageShareMax = 0.125;
/** Of what a user function throws. */
const messageLengthMax = 2_000;
const jsonBytesPerUnitMax = 6;
/** From here on a commit takes on no more: what state and the last event add should still fit. */
const fullShare = 0.75;
/** Of a value's fields, where the whole of it cannot be written. */
const keptFieldLengthMax = 65_536;

/** Gathers what a program puts out for one commit. */
export class BatchOutputs implements ProgramOutputs {
  readonly #plan: StagePlan;
  readonly #blockBytesMax: number;
  readonly #fullLength: number;
  readonly #lines: string[][];
  readonly outboxes: readonly Outbox[];
  readonly #deadLetters: DeadLetter[] = [];
  readonly #rowMarks: number[];
  readonly #eventMarks: number[];
  #deadLetterMark = 0;
  /** UTF-16 units of all that is gathered: it takes that many bytes at least. */
  #length = 0;
  #lengthMark = 0;
  /** Bytes of the event under way, for its dead letter; made only when needed. */
  payload: () => Uint8Array = () => new Uint8Array();
  attempts = 1;

  constructor(options: {
    readonly plan: StagePlan;
    readonly state: TaskStores;
    readonly exchangePartitionCounts: readonly number[];
    /** What one commit may hold. */
    readonly blockBytesMax: number;
  }) {
    const { exchangePartitionCounts, plan, state } = options;
    this.#plan = plan;
    this.#blockBytesMax = options.blockBytesMax;
    this.#fullLength = options.blockBytesMax * fullShare;
    this.#lines = plan.tables.map(() => []);
    this.#rowMarks = plan.tables.map(() => 0);
    this.#eventMarks = plan.exchanges.map(() => 0);
    this.outboxes = plan.exchanges.map(
      (exchange, index) => new Outbox(exchange, exchangePartitionCounts[index] ?? 1, state),
    );
  }

  /** True when this commit should take on no more. */
  get isFull(): boolean {
    return this.#length >= this.#fullLength;
  }

  row(table: number, row: Row): void {
    const lines = this.#lines[table];
    invariant(lines !== undefined, 'the row has a table', { table });
    const line = rowText(row);
    this.#grow(line.length);
    lines.push(line);
  }

  send(exchange: number, event: ExchangeEvent): void {
    const outbox = this.outboxes[exchange];
    invariant(outbox !== undefined, 'the event has an exchange', { exchange });
    this.#grow(outbox.add(event));
  }

  /** What one event makes is refused as soon as no commit can hold it: it might have no end. */
  #grow(length: number): void {
    this.#length += length;
    if (this.#length - this.#lengthMark <= this.#blockBytesMax) return;
    throw tooLarge('this one event', { bytesMax: this.#blockBytesMax });
  }

  deadLetter({ bytes: bytesOf = this.payload, payload, ...letter }: NewDeadLetter): void {
    const whole = payload === undefined ? bytesOf() : jsonBytes(payload);
    const { bytes, note } = keptPayload(whole, Math.floor(this.#blockBytesMax * payloadShareMax));
    const message = this.#keptMessage(letter.message, note);
    const payloadBase64 = Buffer.from(bytes).toString('base64');
    this.#length += message.length + payloadBase64.length + letter.operator.length;
    this.#deadLetters.push({ ...letter, message, attempts: this.attempts, payloadBase64 });
  }

  /** The beginning of a message, in memory of its own: what a function throws may be of any length. */
  #keptMessage(message: string, note: string): string {
    const bytesMax = Math.floor(this.#blockBytesMax * messageShareMax);
    const lengthMax = Math.min(messageLengthMax, Math.floor(bytesMax / jsonBytesPerUnitMax));
    const kept = message.slice(0, lengthMax);
    const own =
      kept.length < message.length ? Buffer.from(kept, 'utf16le').toString('utf16le') : kept;
    return `${own}${note}`;
  }

  /** Called often: it writes into arrays that are there. */
  mark(): void {
    for (let table = 0; table < this.#lines.length; table += 1) {
      this.#rowMarks[table] = this.#lines[table]?.length ?? 0;
    }
    for (let index = 0; index < this.outboxes.length; index += 1) {
      this.#eventMarks[index] = this.outboxes[index]?.mark() ?? 0;
    }
    this.#deadLetterMark = this.#deadLetters.length;
    this.#lengthMark = this.#length;
  }

  rollbackToMark(): void {
    this.#rowMarks.forEach((length, table) => {
      const lines = this.#lines[table];
      if (lines !== undefined) lines.length = length;
    });
    this.#eventMarks.forEach((events, index) => this.outboxes[index]?.rollback(events));
    this.#deadLetters.length = this.#deadLetterMark;
    this.#length = this.#lengthMark;
  }

  /** Forgets everything: it is in the log, or was refused. */
  clear(): void {
    for (const lines of this.#lines) lines.length = 0;
    for (const outbox of this.outboxes) outbox.clear();
    this.#deadLetters.length = 0;
    this.#length = 0;
    this.#lengthMark = 0;
  }

  /** The rows of each table that has any, as the log keeps them. */
  encodeRows(): TableRows[] {
    const encoded: TableRows[] = [];
    this.#plan.tables.forEach(({ name }, index) => {
      const lines = this.#lines[index] ?? [];
      if (lines.length === 0) return;
      encoded.push({ table: name, count: lines.length, lines: encodeLines(lines) });
    });
    return encoded;
  }

  deadLetters(): readonly DeadLetter[] {
    return this.#deadLetters.slice();
  }
}

/** Who took the value may have put into it what JSON has no words for: the rest of it is kept. */
function jsonBytes(value: unknown): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(value));
  } catch {
    const plain = Object.entries(value ?? {}).filter(([name, field]) => {
      if (name.length > keptFieldLengthMax) return false;
      if (typeof field === 'string') return field.length <= keptFieldLengthMax;
      return typeof field === 'number' || typeof field === 'boolean';
    });
    return Buffer.from(JSON.stringify(Object.fromEntries(plain)));
  }
}

/** In memory of its own: cut from a shared pool it would keep the pool. */
function encodeLines(lines: readonly string[]): Uint8Array {
  const text = lines.join('\n');
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** Bodies are put side by side here: a call into zlib for each costs more than their bytes. */
const joined = Buffer.allocUnsafeSlow(32 * 1024);

/** CRC-32 chained over the bodies of a range: the same range must always hash the same. */
export function hashBodies(bodies: Iterable<Uint8Array>): number {
  let hash = 0;
  let length = 0;
  for (const body of bodies) {
    if (length + body.byteLength > joined.length) {
      hash = crc32(joined.subarray(0, length), hash);
      length = 0;
    }
    if (body.byteLength > joined.length) hash = crc32(body, hash);
    else {
      joined.set(body, length);
      length += body.byteLength;
    }
  }
  return crc32(joined.subarray(0, length), hash);
}
