import { crc32 } from 'node:zlib';
import { invariant } from '../model/errors';
import type { DeadLetter, TableRows } from '../model/commit';
import type { ExchangeEvent, ProgramOutputs, StagePlan } from '../model/program';
import type { Row } from '../model/table';
import { Outbox } from '../exchange/outbox';
import type { KeyedState } from '../state/keyed-state';

interface OutputsMark {
  readonly rows: readonly number[];
  readonly events: readonly number[];
  readonly deadLetters: number;
}

/** Gathers what a program puts out for one commit. */
export class BatchOutputs implements ProgramOutputs {
  readonly #plan: StagePlan;
  readonly #rows: Row[][];
  readonly #lines: string[][];
  readonly outboxes: readonly Outbox[];
  readonly #deadLetters: DeadLetter[] = [];
  /** Bytes of the event under way, for its dead letter; made only when needed. */
  payload: () => Uint8Array = () => new Uint8Array();
  attempts = 1;

  constructor(plan: StagePlan, state: KeyedState, exchangePartitionCounts: readonly number[]) {
    this.#plan = plan;
    this.#rows = plan.tables.map(() => []);
    this.#lines = plan.tables.map(() => []);
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

  mark(): OutputsMark {
    return {
      rows: this.#rows.map((rows) => rows.length),
      events: this.outboxes.map((outbox) => outbox.mark()),
      deadLetters: this.#deadLetters.length,
    };
  }

  rollback(mark: OutputsMark): void {
    mark.rows.forEach((length, table) => {
      const rows = this.#rows[table];
      const lines = this.#lines[table];
      if (rows !== undefined) rows.length = length;
      if (lines !== undefined) lines.length = length;
    });
    mark.events.forEach((events, index) => this.outboxes[index]?.rollback(events));
    this.#deadLetters.length = mark.deadLetters;
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
