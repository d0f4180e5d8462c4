import type { CommitRecord, DeadLetter } from '../../../shared/model/commit';
import type { EventEnd } from '../../../shared/model/program';
import type { Shape } from '../world/topology';
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
import { WindowModel, windowsOf } from './window-model';

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
  /** By name: those that a build had for a while are kept with what they gave out. */
  readonly windows = new Map<string, WindowModel>();
  /** Events that never came: declared by ordinal. */
  missing = 0;
  watermarkMs = -Infinity;
  readonly #producers = new Map<string, Producer>();
  #missingNow = 0;
  /** Tasks of the producing stage: its hub always has as many partitions. */
  #counted = 1;

  protected override forgetState(): void {
    this.watermarkMs = -Infinity;
    this.#producers.clear();
    this.#counted = 1;
    for (const window of this.windows.values()) window.giveUp();
  }

  /** What the build lacks is given up; what it has besides begins with what comes from now on. */
  protected override reshape(shape: Shape): void {
    const own = windowsOf(shape);
    for (const { name, ...rest } of own) {
      const known = this.windows.get(name) ?? new WindowModel({ name, ...rest });
      this.windows.set(name, known);
    }
    for (const [name, window] of this.windows) {
      window.isAtWork = own.some((one) => one.name === name);
      if (!window.isAtWork) window.giveUp();
    }
  }

  override get open(): Readonly<Record<string, number>> {
    const keys = Array.from(
      this.windows.values(),
      ({ name, openKeys }) => [name, openKeys] as const,
    );
    return Object.fromEntries(keys.filter(([, count]) => count > 0));
  }

  /** Events of a producer that came, or were declared missing. */
  takenFrom(producer: string): number {
    return this.#producers.get(producer)?.ordinal ?? 0;
  }

  protected override beginCommit(): void {
    this.#missingNow = 0;
    // Before any record a task has no shape: that of its first build.
    if (this.windows.size === 0) this.reshape(this.shape);
  }

  protected override message(stretch: Stretch, record: CommitRecord): void {
    const claims = claimsText(stretch.body);
    if (claims !== null) {
      if (claims.topologyVersion === this.version) this.#claim(claims);
      return;
    }
    const envelope = envelopeText(stretch.body);
    // What another version sent is dropped.
    if (envelope.topologyVersion !== this.version) return;
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

  /** Late where every window refuses it: by its source's watermark, or because the window was given out. */
  #add([text, timeMs, value, markMs]: EnvelopeText['events'][number]): 'emitted' | 'late' {
    const passedMs = Math.max(this.watermarkMs, markMs ?? -Infinity);
    // The canonical text of a key that is a text.
    const event = { key: text.slice(1), timeMs, amount: Number(value['amount']) };
    let isTaken = false;
    for (const window of this.#atWork) if (window.add(event, passedMs)) isTaken = true;
    return isTaken ? 'emitted' : 'late';
  }

  get #atWork(): readonly WindowModel[] {
    return Array.from(this.windows.values()).filter(({ isAtWork }) => isAtWork);
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
    for (const window of this.#atWork) window.fire(watermarkMs);
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
    for (const window of this.windows.values()) {
      const rows = linesOf(record, window.table);
      const where = `${this.name}: results of ${window.name} in ${record.commit}`;
      if (!window.isAtWork) same(rows, [], 'I5', where);
      // Results may wait for a later commit; their order is fixed.
      same(rows, window.next(rows.length), 'I7', where);
    }
    for (const { code } of record.deadLetters) {
      same(code, 'STREAM_EVENT_KILLED_WORKER', 'I9', `${this.name}: a dead letter`);
    }
  }

  get isAllOut(): boolean {
    return Array.from(this.windows.values()).every(({ isAllOut }) => isAllOut);
  }
}
