import type { CommitRecord, DeadLetter } from '../../../shared/model/commit';
import type { EventEnd } from '../../../shared/model/program';
import {
  copyTable,
  isRefusedAmount,
  noteOf,
  outOfOrdernessMs,
  sourceTable,
} from '../world/topology';
import type { ExpectedEvent, Order } from '../world/workload';
import { envelopeText } from './envelope-text';
import { holds, same } from './invariants';
import { TaskModel, type Stretch } from './task-model';

interface ExpectedLetter {
  readonly sequenceNumber: number;
  readonly index: number;
  readonly code: string | null;
  readonly payloadBase64: string;
  /** Of a letter that was redriven: one more than it had. */
  readonly attempts: number | null;
}

/** An order that left the stage: as the build at work shaped it, and of the time that it counts as being of. */
export interface EmittedOrder {
  readonly order: Order;
  readonly note: string | null;
  readonly timeMs: number;
}

type PlacedEvent = ExpectedEvent & {
  readonly sequenceNumber: number;
  readonly index: number;
  readonly enqueuedTimeMs: number;
};

/** A task that reads the source: what must become of each of its events is known beforehand. */
export class SourceTaskModel extends TaskModel {
  /** Rows of all commits so far, as JSON. */
  readonly rows: string[] = [];
  readonly emitted: EmittedOrder[] = [];
  watermarkMs: number | null = null;
  isDrained = false;
  readonly #partitionOfKey: Map<string, number>;
  readonly #ordinals = new Map<number, number>();
  /** Where events have moved time. */
  #movedToMs = -Infinity;
  #orders: EmittedOrder[] = [];
  #letters: ExpectedLetter[] = [];
  /** The watermark before each event of the commit under way, by order. */
  readonly #marksMs = new Map<number, number>();
  /** By place and bytes: a place is one of another event after the hub was created again. */
  readonly #events = new Map<string, PlacedEvent>();

  constructor(
    task: ConstructorParameters<typeof TaskModel>[0],
    context: ConstructorParameters<typeof TaskModel>[1],
    /** Of all tasks together: a key has one exchange partition. */
    partitionOfKey: Map<string, number>,
  ) {
    super(task, context);
    this.#partitionOfKey = partitionOfKey;
  }

  protected override forgetState(): void {
    this.watermarkMs = null;
    this.isDrained = false;
    this.#movedToMs = -Infinity;
    this.#ordinals.clear();
  }

  protected override reshape(): void {
    // It keeps nothing that a build could have or lack.
  }

  override get open(): Readonly<Record<string, number>> {
    return {};
  }

  /** Events sent in this version, by partition of the exchange. */
  get sent(): ReadonlyMap<number, number> {
    return this.#ordinals;
  }

  protected override beginCommit(): void {
    this.#orders = [];
    this.#letters = [];
    this.#marksMs.clear();
  }

  protected override message(stretch: Stretch, record: CommitRecord): void {
    const { sequenceNumber } = stretch;
    const { enqueuedTimesMs, expected } = this.context.hubs.partition(
      this.hub,
      this.incarnation,
      this.partition,
    );
    const events = expected[sequenceNumber] ?? [];
    const end = stretch.end ?? events.length;
    holds(end <= events.length, 'I4', () => `${this.name} ${sequenceNumber}: no event ${end}`);
    for (let index = stretch.start; index < end; index += 1) {
      const event = events[index];
      if (event === undefined) continue;
      const enqueuedTimeMs = enqueuedTimesMs[sequenceNumber] ?? 0;
      const placed = { ...event, sequenceNumber, index, enqueuedTimeMs };
      this.#events.set(`${sequenceNumber}.${index}.${event.payload.toString('base64')}`, placed);
      this.#event(placed, record);
    }
  }

  #event(event: PlacedEvent, record: CommitRecord): void {
    this.ledger.read += 1;
    if (!this.isQuarantined(record, event)) {
      this.ledger[this.#process(event, record, null)] += 1;
      return;
    }
    this.ledger.deadLettered += 1;
    this.#letters.push(letterOf(event, 'STREAM_EVENT_KILLED_WORKER', null));
  }

  protected override redrive(letter: DeadLetter, record: CommitRecord): EventEnd {
    const { index, sequenceNumber } = letter;
    const event = this.#events.get(`${sequenceNumber}.${index}.${letter.payloadBase64}`);
    holds(event !== undefined, 'I9', () => `${this.name}: a letter of no event`);
    return this.#process(event, record, letter.attempts + 1);
  }

  /** What the program makes of an event; harm that it does ends some day, and not before. */
  #process(event: PlacedEvent, record: CommitRecord, attempts: number | null): EventEnd {
    const { index, order, sequenceNumber } = event;
    // By its bytes too: of a hub that was created again another event may have had the place.
    const payloadBase64 = event.payload.toString('base64');
    const isDead = record.deadLetters.some(
      (one) =>
        one.sequenceNumber === sequenceNumber &&
        one.index === index &&
        one.payloadBase64 === payloadBase64,
    );
    const isUnwanted =
      this.shape.isFiltered && isWhole(event) && isRefusedAmount(event.order.amount);
    if (isUnwanted) return this.#passed(event, event.order, 'filtered');
    const isMended = order?.harm !== undefined && !isDead;
    holds(!isMended || this.context.isMended(), 'I9', () => {
      return `${this.name} ${sequenceNumber}.${index} did no harm`;
    });
    const end = isMended ? 'emitted' : event.end;
    if (end === 'deadLettered') {
      holds(!event.isKilling, 'I9', () => `${this.name} ${sequenceNumber}.${index} killed nobody`);
      this.#letters.push(letterOf(event, event.code, attempts));
      return end;
    }
    return order === null ? end : this.#passed(event, order, end);
  }

  /** The event was looked at: it moves time, and may be given out. */
  #passed(event: PlacedEvent, order: Order, end: 'emitted' | 'filtered'): EventEnd {
    const markMs = Math.max(this.#watermarkNowMs, this.#behindMs(event.enqueuedTimeMs));
    if (end === 'emitted') {
      this.#orders.push({
        order: { ...order, amount: order.amount + this.shape.surcharge },
        note: this.shape.isNoted ? noteOf(order.id) : null,
        timeMs: event.clampedToMs ?? order.time,
      });
      this.#marksMs.set(order.id, markMs);
    }
    // One that is taken for an earlier one moves no time.
    const movesToMs = event.clampedToMs === null ? order.time - outOfOrdernessMs : -Infinity;
    this.#movedToMs = Math.max(this.#movedToMs, markMs, movesToMs);
    return end;
  }

  protected override endCommit(record: CommitRecord): void {
    this.#checkWatermark(record);
    const plain = this.#orders.map(({ order: { amount, customer, id, time } }) => {
      return [id, customer, time, amount];
    });
    const { isCopied, isNoted } = this.shape;
    const rows = this.#orders.map(({ note }, n) => {
      return JSON.stringify([...(plain[n] ?? []), ...(isNoted ? [note] : [])]);
    });
    const where = `${this.name}: rows of ${record.commit}`;
    same(linesOf(record, sourceTable), rows, 'I7', where);
    const copies = isCopied ? plain.map((row) => JSON.stringify(row)) : [];
    same(linesOf(record, copyTable), copies, 'I7', `${where} for ${copyTable}`);
    for (const row of rows) this.rows.push(row);
    for (const order of this.#orders) this.emitted.push(order);
    const letters = record.deadLetters.map(
      ({ attempts, code, index, payloadBase64, sequenceNumber }, n): ExpectedLetter => ({
        ...{ sequenceNumber, index, payloadBase64, code },
        attempts: this.#letters[n]?.attempts === null ? null : attempts,
      }),
    );
    same(letters, this.#letters, 'I9', `${this.name}: dead letters of ${record.commit}`);
    for (const { attempts } of record.deadLetters) {
      holds(attempts >= 1, 'I9', () => `${this.name}: a dead letter without attempts`);
    }
    this.#checkOutbox(record);
  }

  /** Where time stands after the events so far. */
  get #watermarkNowMs(): number {
    return Math.max(this.watermarkMs ?? -Infinity, this.#movedToMs);
  }

  /** An event that happened before is behind time, where wall clock moves it: whether or not it did. */
  #behindMs(enqueuedTimeMs: number): number {
    const { maxDelayMs } = this.context;
    return maxDelayMs === null ? -Infinity : enqueuedTimeMs - maxDelayMs;
  }

  #checkWatermark(record: CommitRecord): void {
    const byEvents = this.#watermarkNowMs;
    const now = record.watermarkMs ?? -Infinity;
    if (record.watermarkReason === 'events') {
      same(now, byEvents, 'I8', `${this.name}: watermark of ${record.commit}`);
    }
    holds(now >= byEvents, 'I8', () => `${this.name}: the watermark goes back to ${now}`);
    if (record.watermarkReason === 'idle') this.#checkIdleTick(now);
    this.watermarkMs = record.watermarkMs;
    if (record.watermarkReason === 'drain') this.isDrained = true;
  }

  /** A tick moves the watermark to no time of which an event could still be enqueued in time. */
  #checkIdleTick(now: number): void {
    this.context.onIdleTick();
    const most = this.#behindMs(this.context.clockMaxMs());
    holds(now <= most, 'I8', () => `${this.name}: an idle tick to ${now}, ${most} is the most`);
  }

  /** Every emitted event leaves once, in order within its partition, under the next ordinals. */
  #checkOutbox(record: CommitRecord): void {
    const waiting = new Map(
      this.#orders.map((emitted, place) => [emitted.order.id, { ...emitted, place }]),
    );
    const lastPlaces = new Map<number, number>();
    const watermarks = new Map<number, number | null>();
    for (const { body, count, partition } of record.outbox) {
      const envelope = envelopeText(body);
      const ordinal = this.#ordinals.get(partition) ?? 0;
      const where = `${this.name}: outbox of ${record.commit} to ${partition}`;
      same(envelope.firstOrdinal, ordinal + 1, 'I6', `${where}: first ordinal`);
      same(envelope.events.length, count, 'I13', `${where}: events in a message`);
      same(envelope.commit, record.commit, 'I4', `${where}: its commit`);
      this.#ordinals.set(partition, ordinal + count);
      watermarks.set(partition, envelope.watermarkMs);
      for (const event of envelope.events) {
        const { id } = event[2] as { id: number };
        const found = waiting.get(id);
        holds(found !== undefined, 'I3', () => `${where}: order ${id} is sent twice or never was`);
        waiting.delete(id);
        const { amount, customer, time } = found.order;
        const markMs = this.#marksMs.get(id) ?? -Infinity;
        const mark = found.timeMs < markMs ? [markMs] : [];
        const value = { id, customer, time, amount };
        same(event, [`s${customer}`, found.timeMs, value, ...mark], 'I7', where);
        holds(found.place > (lastPlaces.get(partition) ?? -1), 'I6', () => `${where}: its order`);
        lastPlaces.set(partition, found.place);
        const known = this.#partitionOfKey.get(customer) ?? partition;
        same(partition, known, 'I6', `${where}: partition of ${customer}`);
        this.#partitionOfKey.set(customer, partition);
      }
    }
    same(Array.from(waiting.keys()), [], 'I1', `${this.name}: orders of ${record.commit} not sent`);
    for (const [partition, watermarkMs] of watermarks) {
      same(watermarkMs, record.watermarkMs, 'I8', `${this.name}: watermark told to ${partition}`);
    }
  }
}

/** An order that is what it must be, though it may do harm. */
function isWhole(event: PlacedEvent): event is PlacedEvent & { readonly order: Order } {
  const isRefusedBefore = ['STREAM_EVENT_INVALID', 'STREAM_EVENT_EARLY'].includes(event.code ?? '');
  return event.order !== null && event.order.amount >= 0 && !isRefusedBefore;
}

function letterOf(
  { index, payload, sequenceNumber }: PlacedEvent,
  code: string | null,
  attempts: number | null,
): ExpectedLetter {
  return { sequenceNumber, index, payloadBase64: payload.toString('base64'), code, attempts };
}

/** A table's rows in a commit, one JSON text each. */
export function linesOf(record: CommitRecord, table: string): string[] {
  const rows = record.rows.find((one) => one.table === table);
  return rows === undefined ? [] : Buffer.from(rows.lines).toString().split('\n');
}
