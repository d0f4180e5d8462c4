import type { CommitRecord, DeadLetter } from '../../../shared/model/commit';
import type { EventEnd } from '../../../shared/model/program';
import { graceMs, windowMs, windowTable } from '../world/topology';
import {
  claimsText,
  envelopeText,
  isAfter,
  type ClaimsText,
  type EnvelopeText,
  type PositionText,
} from './envelope-text';
import { holds, same } from './invariants';
import { linesOf } from './source-task';
import { TaskModel, type Stretch } from './task-model';

interface Producer {
  epoch: number;
  ordinal: number;
  watermarkMs: number;
  through: Readonly<Record<string, PositionText>>;
  claim: { readonly cursor: PositionText; readonly ends: ClaimsText['ends'] } | null;
}

function unheard(): Producer {
  return { epoch: 0, ordinal: 0, watermarkMs: -Infinity, through: {}, claim: null };
}

function latest(left: Producer['through'], right: Producer['through']): Producer['through'] {
  const all: Record<string, PositionText> = { ...left };
  for (const [name, position] of Object.entries(right)) {
    const known = all[name];
    if (known === undefined || isAfter(position, known)) all[name] = position;
  }
  return all;
}

/** A task that reads the exchange: a plain fold over the messages that the hub recorded. */
export class WindowTaskModel extends TaskModel {
  /** Results in the order in which they became due, as JSON rows. */
  readonly fired: string[] = [];
  rowsSeen = 0;
  /** Events that never came: declared by ordinal. */
  missing = 0;
  watermarkMs = -Infinity;
  readonly #producers = new Map<string, Producer>();
  readonly #windows = new Map<number, Map<string, { orders: number; total: number }>>();
  #missingNow = 0;
  /** Tasks of the producing stage: its hub always has as many partitions. */
  #counted = 1;

  protected override beginCommit(): void {
    this.#missingNow = 0;
  }

  protected override message(stretch: Stretch, record: CommitRecord): void {
    const claims = claimsText(stretch.body);
    if (claims !== null) {
      this.#claim(claims);
      return;
    }
    const envelope = envelopeText(stretch.body);
    const name = `${envelope.stage}/${envelope.partition}`;
    const { sequenceNumber } = stretch;
    let producer = this.#producers.get(name);
    if (producer === undefined) {
      producer = unheard();
      this.#producers.set(name, producer);
    }
    if (producer.epoch === 0) producer.epoch = envelope.epoch;
    holds(producer.epoch === envelope.epoch, 'I5', () => {
      return `${this.name}: ${name} changes its epoch to ${envelope.epoch}`;
    });
    const missing = Math.max(0, envelope.firstOrdinal - 1 - producer.ordinal);
    this.#missingNow += missing;
    const end = stretch.end ?? envelope.events.length;
    for (let index = 0; index < end; index += 1) {
      const event = envelope.events[index];
      const ordinal = envelope.firstOrdinal + index;
      if (event === undefined || ordinal <= producer.ordinal) continue;
      producer.ordinal = ordinal;
      producer.claim = null;
      this.ledger.read += 1;
      const place = { sequenceNumber, index, isKilling: false };
      if (this.isQuarantined(record, place)) this.ledger.deadLettered += 1;
      else this.ledger[this.#add(event)] += 1;
    }
    producer.ordinal = Math.max(producer.ordinal, envelope.firstOrdinal - 1);
    if (stretch.end !== null) return;
    producer.watermarkMs = Math.max(producer.watermarkMs, envelope.watermarkMs ?? -Infinity);
    this.#counted = envelope.producers;
    producer.through = latest(producer.through, envelope.through);
    this.#advance();
  }

  protected override redrive({ payloadBase64 }: DeadLetter): EventEnd {
    const text = Buffer.from(payloadBase64, 'base64').toString();
    return this.#add(JSON.parse(text) as EnvelopeText['events'][number]);
  }

  /** Late by its source's watermark, or because its window was given out. */
  #add([text, timeMs, value, markMs]: EnvelopeText['events'][number]): 'emitted' | 'late' {
    const amount = Number(value['amount']);
    // The canonical text of a key that is a text.
    const key = text.slice(1);
    const start = Math.floor(timeMs / windowMs) * windowMs;
    const passedMs = Math.max(this.watermarkMs, markMs ?? -Infinity);
    if (start + windowMs + graceMs <= passedMs) return 'late';
    const keys = this.#windows.get(start) ?? new Map<string, { orders: number; total: number }>();
    this.#windows.set(start, keys);
    const window = keys.get(key) ?? { orders: 0, total: 0 };
    keys.set(key, { orders: window.orders + 1, total: window.total + amount });
    return 'emitted';
  }

  /** What was said before is not said again: the later claim counts. */
  #claim({ claims, ends }: ClaimsText): void {
    for (const { cursor, epoch, partition, stage } of claims) {
      const name = `${stage}/${partition}`;
      const producer = this.#producers.get(name) ?? unheard();
      this.#producers.set(name, producer);
      const through = producer.through[name];
      const isSpokenAfter = through !== undefined && isAfter(through, cursor);
      const known = producer.claim;
      const isOlder =
        known !== null &&
        (isAfter(known.cursor, cursor) ||
          (!isAfter(cursor, known.cursor) &&
            Object.entries(known.ends).some(([one, end]) => isAfter(end, ends[one] ?? end))));
      if (epoch >= producer.epoch && !isSpokenAfter && !isOlder) producer.claim = { cursor, ends };
    }
    this.#advance();
  }

  #isLeftOut(name: string, { claim }: Producer): boolean {
    if (claim === null) return false;
    return Array.from(this.#producers).every(([other, { through }]) => {
      const position = through[other];
      if (position === undefined) return true;
      const end = other === name ? claim.cursor : claim.ends[other];
      return end !== undefined && !isAfter(position, end);
    });
  }

  /** The earliest of those that may still speak; where none may, the latest of all. */
  #advance(): void {
    if (this.#producers.size < this.#counted) return;
    // Drained ones have no part in time, until all are.
    const all = Array.from(this.#producers).filter(
      ([, { watermarkMs }]) => watermarkMs !== Number.MAX_SAFE_INTEGER,
    );
    const working = all.filter(([name, producer]) => !this.#isLeftOut(name, producer));
    let watermarkMs: number = Number.MAX_SAFE_INTEGER;
    if (working.length > 0) {
      watermarkMs = Math.min(...working.map(([, producer]) => producer.watermarkMs));
    } else if (all.length > 0) {
      watermarkMs = Math.max(...all.map(([, producer]) => producer.watermarkMs));
    }
    if (watermarkMs <= this.watermarkMs) return;
    this.watermarkMs = watermarkMs;
    const due = Array.from(this.#windows.keys())
      .filter((start) => start + windowMs + graceMs <= watermarkMs)
      .sort((left, right) => left - right);
    for (const start of due) {
      const keys = Array.from(this.#windows.get(start) ?? []).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [key, { orders, total }] of keys) {
        this.fired.push(JSON.stringify([key, start, orders, total]));
      }
      this.#windows.delete(start);
    }
  }

  protected override endCommit(record: CommitRecord): void {
    const declared = record.gaps
      .filter(({ reason }) => reason === 'producer-missing')
      .reduce((events, gap) => events + (gap.events ?? 0), 0);
    same(declared, this.#missingNow, 'I2', `${this.name}: events declared missing`);
    this.missing += declared;
    this.ledger.gap += declared;
    const isNone = this.watermarkMs === -Infinity;
    same(
      record.watermarkMs,
      isNone ? null : this.watermarkMs,
      'I8',
      `${this.name}: watermark of ${record.commit}`,
    );
    // Results may wait for a later commit; their order is fixed.
    for (const row of linesOf(record, windowTable)) {
      const expected = this.fired[this.rowsSeen];
      same(row, expected, 'I7', `${this.name}: result ${this.rowsSeen} in ${record.commit}`);
      this.rowsSeen += 1;
    }
    for (const { code } of record.deadLetters) {
      same(code, 'STREAM_EVENT_KILLED_WORKER', 'I9', `${this.name}: a dead letter`);
    }
  }

  get isAllOut(): boolean {
    return this.rowsSeen === this.fired.length && this.#windows.size === 0;
  }
}
