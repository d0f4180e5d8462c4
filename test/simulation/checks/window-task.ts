import type { CommitRecord, DeadLetter } from '../../../shared/model/commit';
import type { EventEnd } from '../../../shared/model/program';
import { graceMs, windowMs, windowTable } from '../world/topology';
import { envelopeText, type EnvelopeText } from './envelope-text';
import { holds, same } from './invariants';
import { linesOf } from './source-task';
import { TaskModel, type Stretch } from './task-model';

interface Producer {
  epoch: number;
  ordinal: number;
  watermarkMs: number;
  idle: boolean;
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

  protected override beginCommit(): void {
    this.#missingNow = 0;
  }

  protected override message(stretch: Stretch, record: CommitRecord): void {
    const envelope = envelopeText(stretch.body);
    const name = `${envelope.stage}/${envelope.partition}`;
    const { sequenceNumber } = stretch;
    let producer = this.#producers.get(name);
    if (producer === undefined) {
      producer = { epoch: envelope.epoch, ordinal: 0, watermarkMs: -Infinity, idle: false };
      this.#producers.set(name, producer);
    }
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
      this.ledger.read += 1;
      const place = { sequenceNumber, index, isKilling: false };
      if (this.isQuarantined(record, place)) this.ledger.deadLettered += 1;
      else this.ledger[this.#add(event)] += 1;
    }
    producer.ordinal = Math.max(producer.ordinal, envelope.firstOrdinal - 1);
    if (stretch.end !== null) return;
    producer.watermarkMs = Math.max(producer.watermarkMs, envelope.watermarkMs ?? -Infinity);
    producer.idle = envelope.isIdle;
    if (this.#producers.size >= envelope.producers) this.#advance();
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

  /** The earliest of those that are at work; where none is, the latest of all. */
  #advance(): void {
    const all = Array.from(this.#producers.values());
    const working = all.filter(({ idle }) => !idle).map(({ watermarkMs }) => watermarkMs);
    const watermarkMs =
      working.length > 0
        ? Math.min(...working)
        : Math.max(...all.map((producer) => producer.watermarkMs));
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
