import { crc32 } from 'node:zlib';
import { invariant } from '../model/errors';
import type { DeadLetter, TableRows } from '../model/commit';
import type { ExchangeEvent, NewDeadLetter, ProgramOutputs, StagePlan } from '../model/program';
import { rowText } from '../model/cells';
import type { Row } from '../model/table';
import { Outbox } from '../exchange/outbox';
import type { KeyedState } from '../state/keyed-state';
import { keptPayload } from './dead-letter-payload';

/** Of a commit's bytes: in base64 it takes a third more, and the record needs room beside it. */
const payloadShareMax = 0.5;
/** Of what a user function throws. */
const messageLengthMax = 2_000;

/** Gathers what a program puts out for one commit. */
export class BatchOutputs implements ProgramOutputs {
  readonly #plan: StagePlan;
  readonly #payloadBytesMax: number;
  readonly #lines: string[][];
  readonly outboxes: readonly Outbox[];
  readonly #deadLetters: DeadLetter[] = [];
  readonly #rowMarks: number[];
  readonly #eventMarks: number[];
  #deadLetterMark = 0;
  /** Bytes of the event under way, for its dead letter; made only when needed. */
  payload: () => Uint8Array = () => new Uint8Array();
  attempts = 1;

  constructor(options: {
    readonly plan: StagePlan;
    readonly state: KeyedState;
    readonly exchangePartitionCounts: readonly number[];
    /** What one commit may hold. */
    readonly blockBytesMax: number;
  }) {
    const { exchangePartitionCounts, plan, state } = options;
    this.#plan = plan;
    this.#payloadBytesMax = Math.floor(options.blockBytesMax * payloadShareMax);
    this.#lines = plan.tables.map(() => []);
    this.#rowMarks = plan.tables.map(() => 0);
    this.#eventMarks = plan.exchanges.map(() => 0);
    this.outboxes = plan.exchanges.map(
      (exchange, index) => new Outbox(exchange, exchangePartitionCounts[index] ?? 1, state),
    );
  }

  row(table: number, row: Row): void {
    const lines = this.#lines[table];
    invariant(lines !== undefined, 'the row has a table', { table });
    lines.push(rowText(row));
  }

  send(exchange: number, event: ExchangeEvent): void {
    const outbox = this.outboxes[exchange];
    invariant(outbox !== undefined, 'the event has an exchange', { exchange });
    outbox.add(event);
  }

  deadLetter({ payload, ...letter }: NewDeadLetter): void {
    const whole = payload === undefined ? this.payload() : jsonBytes(payload);
    const { bytes, note } = keptPayload(whole, this.#payloadBytesMax);
    this.#deadLetters.push({
      ...letter,
      message: `${letter.message.slice(0, messageLengthMax)}${note}`,
      attempts: this.attempts,
      payloadBase64: Buffer.from(bytes).toString('base64'),
    });
  }

  /** Called once per event: it writes into arrays that are there. */
  mark(): void {
    for (let table = 0; table < this.#lines.length; table += 1) {
      this.#rowMarks[table] = this.#lines[table]?.length ?? 0;
    }
    for (let index = 0; index < this.outboxes.length; index += 1) {
      this.#eventMarks[index] = this.outboxes[index]?.mark() ?? 0;
    }
    this.#deadLetterMark = this.#deadLetters.length;
  }

  rollbackToMark(): void {
    this.#rowMarks.forEach((length, table) => {
      const lines = this.#lines[table];
      if (lines !== undefined) lines.length = length;
    });
    this.#eventMarks.forEach((events, index) => this.outboxes[index]?.rollback(events));
    this.#deadLetters.length = this.#deadLetterMark;
  }

  /** Forgets everything: it is in the log, or was refused. */
  clear(): void {
    for (const lines of this.#lines) lines.length = 0;
    for (const outbox of this.outboxes) outbox.clear();
    this.#deadLetters.length = 0;
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
    const plain = Object.entries(value ?? {}).filter(([, field]) =>
      ['string', 'number', 'boolean'].includes(typeof field),
    );
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

/** CRC-32 chained over the bodies of a range: the same range must always hash the same. */
export function hashBodies(bodies: Iterable<Uint8Array>): number {
  let hash = 0;
  for (const body of bodies) hash = crc32(body, hash);
  return hash;
}
