import { gzipSync } from 'node:zlib';
import type { Faults } from './faults';
import type { Random } from './random';

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly time: number;
  readonly amount: number;
  readonly harm?: string;
}

/** What must become of one event, known when it is made: no code of the engine is asked. */
export interface ExpectedEvent {
  readonly end: 'emitted' | 'filtered' | 'deadLettered';
  /** Null where its bytes hold no order. */
  readonly order: Order | null;
  /** Error code of its dead letter. */
  readonly code: string | null;
  readonly isKilling: boolean;
  /** The time that it is taken for instead of its own, which is too early; null: its own. */
  readonly clampedToMs: number | null;
  /** Its bytes as a dead letter must hold them. */
  readonly payload: Buffer;
}

export interface SourceMessage {
  readonly body: Buffer;
  readonly events: readonly ExpectedEvent[];
}

export const firstOrderMs = Date.UTC(2026, 0, 1);
/** Further than this after it was enqueued an event is too early. */
export const earlyLimitMs = 24 * 60 * 60_000;
const spanMs = 8 * 60_000;
export const burstSpanMs = 30 * 60_000;
const outOfOrderMaxMs = 20_000;
const farFutureMs = Date.UTC(2026, 5, 10);

export interface WorkloadOptions {
  readonly messages: number;
  readonly customers: number;
  /** Event times are multiples of this: coarse ones fall on the bounds of windows. */
  readonly granularityMs: number;
  /** When what is made now is enqueued. */
  readonly nowMs: () => number;
  /** What becomes of events that come too early. */
  readonly early: 'deadLetter' | 'clamp';
}

/** Makes the messages that one run sends into its source hub, in every form that ingest accepts. */
export class Workload {
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #options: WorkloadOptions;
  #made = 0;
  #ids = 0;
  #killing = 0;
  /** By how much bursts have brought event time forward. */
  #aheadMs = 0;

  constructor(random: Random, faults: Faults, options: WorkloadOptions) {
    this.#random = random;
    this.#faults = faults;
    this.#options = options;
  }

  get isDone(): boolean {
    return this.#made >= this.#options.messages;
  }

  /** Half an hour of events, in the order in which they happened. */
  burst(messages: number): SourceMessage[] {
    return Array.from({ length: messages }, () => {
      this.#aheadMs += Math.floor(burstSpanMs / messages);
      return this.next();
    });
  }

  next(): SourceMessage {
    this.#made += 1;
    if (this.#faults.strikes('poison', 0.03)) {
      const body = Buffer.from([0xff, 0xfe, this.#made & 0xff, 0xff]);
      return { body, events: [undecodable(body)] };
    }
    const form = this.#random.below(10);
    if (form < 6) {
      const event = this.#event();
      return { body: event.payload, events: [event] };
    }
    const events = Array.from({ length: this.#random.between(2, 5) }, () => this.#event());
    const texts = events.map(({ payload }) => payload.toString());
    const array = Buffer.from(`[${texts.join(',')}]`);
    if (form === 9) return { body: gzipSync(array), events };
    if (form >= 7) return { body: array, events };
    if (this.#faults.strikes('poison', 0.3)) {
      // Between two whole lines: what is broken there costs itself alone.
      const broken = Buffer.from('{"id":');
      texts.splice(1, 0, broken.toString());
      events.splice(1, 0, undecodable(broken));
    }
    return { body: Buffer.from(texts.join('\n')), events };
  }

  #event(): ExpectedEvent {
    const { early } = this.#options;
    const latestMs = this.#options.nowMs() + earlyLimitMs;
    const order = this.#order(latestMs);
    const payload = Buffer.from(JSON.stringify(order));
    const isEarly = order.time > latestMs;
    const clampedToMs = isEarly && early === 'clamp' ? latestMs : null;
    const base = { order, payload, isKilling: false, clampedToMs };
    if (this.#faults.strikes('poison', 0.05)) {
      const invalid = Buffer.from(JSON.stringify({ id: order.id, customer: order.customer }));
      return deadLetter(invalid, 'STREAM_EVENT_INVALID');
    }
    // Whatever it would do: it is refused before anybody looks at it.
    if (isEarly && early === 'deadLetter') return deadLetter(payload, 'STREAM_EVENT_EARLY');
    if (order.amount < 0) return { ...base, end: 'filtered', code: null };
    if (this.#faults.strikes('poison', 0.05)) {
      return harmful(order, this.#random.pick(['throw', 'throw late']), clampedToMs);
    }
    if (this.#killing < 2 && this.#faults.strikes('poison-killing', 0.02)) {
      this.#killing += 1;
      return harmful(order, 'kill', clampedToMs);
    }
    return { ...base, end: 'emitted', code: null };
  }

  #order(latestMs: number): Order {
    const random = this.#random;
    const progress = this.#made / this.#options.messages;
    const atMs = firstOrderMs + Math.floor(progress * spanMs) + this.#aheadMs;
    let time = atMs - random.below(outOfOrderMaxMs);
    if (this.#faults.strikes('out-of-order', 0.06)) {
      time = random.chance(0.3) ? farFutureMs + random.below(spanMs) : time - random.below(600_000);
    }
    const { customers, granularityMs } = this.#options;
    time -= time % granularityMs;
    // By a millisecond, or by years: what is too early opens no window and moves no time.
    if (this.#faults.strikes('early', 0.06)) time = latestMs + random.pick([1, 60_000, 10 ** 12]);
    return {
      id: (this.#ids += 1),
      customer: `customer-${random.below(customers)}`,
      time,
      amount: random.between(-2, 20),
    };
  }
}

function undecodable(payload: Buffer): ExpectedEvent {
  return deadLetter(payload, 'STREAM_EVENT_UNDECODABLE');
}

function deadLetter(payload: Buffer, code: string): ExpectedEvent {
  return { end: 'deadLettered', order: null, code, isKilling: false, clampedToMs: null, payload };
}

function harmful(
  order: Order,
  harm: 'throw' | 'throw late' | 'kill',
  clampedToMs: number | null,
): ExpectedEvent {
  const isKilling = harm === 'kill';
  const harmed = harm === 'throw late' ? { ...order, customer: '' } : { ...order, harm };
  return {
    end: 'deadLettered',
    order: harmed,
    code: isKilling ? 'STREAM_EVENT_KILLED_WORKER' : 'STREAM_USER_FUNCTION_THREW',
    isKilling,
    clampedToMs,
    payload: Buffer.from(JSON.stringify(harmed)),
  };
}
