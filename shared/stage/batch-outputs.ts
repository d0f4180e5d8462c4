import { crc32 } from 'node:zlib';
import { invariant } from '../model/errors';
import type { DeadLetter, TableRows } from '../model/commit';
import type { ExchangeEvent, ProgramOutputs, StagePlan } from '../model/program';
import type { Row } from '../model/table';
import { Outbox } from '../exchange/outbox';
import type { KeyedState } from '../state/keyed-state';

/** Gathers what a program puts out for one commit. */
export class BatchOutputs implements ProgramOutputs {
  readonly #plan: StagePlan;
  readonly #rows: Row[][];
  readonly #lines: string[][];
  readonly outboxes: readonly Outbox[];
  readonly #deadLetters: DeadLetter[] = [];
  readonly #rowMarks: number[];
  readonly #eventMarks: number[];
  #deadLetterMark = 0;
  /** Bytes of the event under way, for its dead letter; made only when needed. */
  payload: () => Uint8Array = () => new Uint8Array();
  attempts = 1;

  constructor(plan: StagePlan, state: KeyedState, exchangePartitionCounts: readonly number[]) {
    this.#plan = plan;
    this.#rows = plan.tables.map(() => []);
    this.#lines = plan.tables.map(() => []);
    this.#rowMarks = plan.tables.map(() => 0);
    this.#eventMarks = plan.exchanges.map(() => 0);
    this.outboxes = plan.exchanges.map(
      (exchange, index) => new Outbox(exchange, exchangePartitionCounts[index] ?? 1, state),
    );
  }

  row(table: number, row: Row): void {
    const rows = this.#rows[table];
    const lines = this.#lines[table];
    invariant(rows !== undefined && lines !== undefined, 'the row has a table', { table });
    rows.push(row);
    lines.push(JSON.stringify(row));
  }

  send(exchange: number, event: ExchangeEvent): void {
    const outbox = this.outboxes[exchange];
    invariant(outbox !== undefined, 'the event has an exchange', { exchange });
    outbox.add(event);
  }

  deadLetter(letter: Omit<DeadLetter, 'attempts' | 'payloadBase64'>): void {
    this.#deadLetters.push({
      ...letter,
      attempts: this.attempts,
      payloadBase64: Buffer.from(this.payload()).toString('base64'),
    });
  }

  /** Called once per event: it writes into arrays that are there. */
  mark(): void {
    for (let table = 0; table < this.#rows.length; table += 1) {
      this.#rowMarks[table] = this.#rows[table]?.length ?? 0;
    }
    for (let index = 0; index < this.outboxes.length; index += 1) {
      this.#eventMarks[index] = this.outboxes[index]?.mark() ?? 0;
    }
    this.#deadLetterMark = this.#deadLetters.length;
  }

  rollbackToMark(): void {
    this.#rowMarks.forEach((length, table) => {
      const rows = this.#rows[table];
      const lines = this.#lines[table];
      if (rows !== undefined) rows.length = length;
      if (lines !== undefined) lines.length = length;
    });
    this.#eventMarks.forEach((events, index) => this.outboxes[index]?.rollback(events));
    this.#deadLetters.length = this.#deadLetterMark;
  }

  /** Forgets everything: it is in the log, or was refused. */
  clear(): void {
    for (const rows of this.#rows) rows.length = 0;
    for (const lines of this.#lines) lines.length = 0;
    for (const outbox of this.outboxes) outbox.clear();
    this.#deadLetters.length = 0;
  }

  takeRows(): { readonly encoded: TableRows[]; readonly rows: (readonly Row[])[] } {
    const encoded: TableRows[] = [];
    this.#plan.tables.forEach((table, index) => {
      const lines = this.#lines[index] ?? [];
      if (lines.length === 0) return;
      encoded.push({
        table: table.name,
        count: lines.length,
        lines: Buffer.from(lines.join('\n')),
      });
    });
    return { encoded, rows: this.#rows.map((rows) => rows.slice()) };
  }

  deadLetters(): readonly DeadLetter[] {
    return this.#deadLetters.slice();
  }
}

/** CRC-32 chained over the bodies of a range: the same range must always hash the same. */
export function hashBodies(bodies: Iterable<Uint8Array>): number {
  let hash = 0;
  for (const body of bodies) hash = crc32(body, hash);
  return hash;
}
