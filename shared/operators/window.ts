import { StreamError } from '../model/errors';
import { canonicalKey, keyOf } from '../model/key';
import type { KeyedStore } from '../state/keyed-state';
import { endOfTimeMs } from '../time/exchange-time';
import type { WindowNode } from '../dataflow/graph';
import {
  addToCounter,
  type OperatorContext,
  type Receiver,
  type EmitResult,
  type TimedOperator,
  type TimedResult,
  type PlaceTime,
} from '../dataflow/operator';

/** Ends sort as text: 16 digits, shifted so that times before 1970 sort first. */
const endDigits = 16;
const endShift = 10 ** 15;

const noKey = canonicalKey(null);

interface OpenWindow {
  /** Store key by value key. May name windows that were rolled back: those are skipped. */
  readonly storeKeys: Map<string, string>;
}

/**
 * How time stands with a window's results. They are as old as their windows, which are given out
 * when their lateness is over: until then they are to come, and so is what is due and not yet fired.
 */
class ResultsTime implements PlaceTime {
  readonly #window: TimedOperator;
  readonly #input: PlaceTime;
  readonly #graceMs: number;

  constructor(window: TimedOperator, input: PlaceTime, graceMs: number) {
    this.#window = window;
    this.#input = input;
    this.#graceMs = graceMs;
  }

  get isAwaited(): boolean {
    return this.#window.dueAtMs < Infinity || this.#input.isAwaited;
  }

  get watermarkMs(): number {
    const { watermarkMs } = this.#input;
    const isTimeOver = watermarkMs >= endOfTimeMs && !this.isAwaited;
    if (isTimeOver) return watermarkMs;
    return Math.min(watermarkMs, this.#window.dueAtMs - 1) - this.#graceMs;
  }
}

/**
 * A tumbling window: an accumulator per key and window in keyed state, given out once, when the
 * watermark passes the window's end plus the grace, in order of (end, key).
 *
 * Delivery: results are part of the commit that moved the watermark: exactly once.
 */
export class TumblingWindowOperator implements TimedOperator {
  readonly #node: WindowNode;
  readonly #context: OperatorContext;
  readonly #time: PlaceTime;
  readonly resultsTime: PlaceTime;
  readonly #results: readonly Receiver[];
  readonly #late: Receiver | null;
  readonly #store: KeyedStore<readonly unknown[]>;
  /** What the windows in the store were made as, by operator. */
  readonly #shapes: KeyedStore<string>;
  readonly #shape: string;
  readonly #open = new Map<number, OpenWindow>();
  dueAtMs = Infinity;

  constructor(options: {
    node: WindowNode;
    context: OperatorContext;
    /** Of what it takes in. */
    time: PlaceTime;
    results: readonly Receiver[];
    late: Receiver | null;
  }) {
    this.#node = options.node;
    this.#context = options.context;
    this.#time = options.time;
    this.resultsTime = new ResultsTime(this, options.time, options.node.graceMs);
    this.#results = options.results;
    this.#late = options.late;
    this.#store = options.context.state.store(`window:${options.node.name}`);
    this.#shapes = options.context.state.store('$shape');
    const { aggregates, sizeMs } = options.node;
    this.#shape = `${sizeMs} ms: ${aggregates.map(([name]) => name).join(', ')}`;
    this.reload();
  }

  readonly receive: Receiver = (value, key, eventTimeMs) => {
    const context = this.#context;
    context.operator = this.#node.name;
    const { graceMs, sizeMs } = this.#node;
    const { watermarkMs } = this.#time;
    let endMs = (Math.floor(eventTimeMs / sizeMs) + 1) * sizeMs;
    const dueMs = endMs + graceMs;
    // Not yet given out, the window refuses it all the same: others may be at another place in time.
    const isLate = dueMs <= context.markMs;
    if (isLate || dueMs <= watermarkMs) {
      addToCounter(context, `late:${this.#node.name}`);
      // It was given out because its partition was taken for idle: nothing else gives out so soon.
      if (!isLate) addToCounter(context, `lateByIdle:${this.#node.name}`);
      // After a drain there is no window that is still open, and none to come.
      const passedMs = Math.max(context.markMs, watermarkMs);
      const isTimeOver = passedMs >= endOfTimeMs;
      if (this.#node.late !== 'clamp' || isTimeOver) {
        context.isLate = true;
        this.#late?.(value, key, eventTimeMs);
        return;
      }
      // The oldest window that is still open.
      endMs = (Math.floor((passedMs - graceMs) / sizeMs) + 1) * sizeMs;
    }
    this.#add(endMs, key ?? noKey, value);
    context.isEmitted = true;
  };

  #add(endMs: number, key: string, value: unknown): void {
    const { aggregates } = this.#node;
    const storeKey = this.#storeKey(endMs, key);
    const before = this.#store.get(storeKey);
    const after: unknown[] = new Array(aggregates.length);
    for (let index = 0; index < aggregates.length; index += 1) {
      const aggregate = aggregates[index]?.[1];
      if (aggregate === undefined) continue;
      const accumulator = before === undefined ? aggregate.create() : before[index];
      after[index] = aggregate.add(accumulator, value as never);
    }
    this.#store.put(storeKey, after);
    if (before === undefined && this.#shapes.get(this.#node.name) !== this.#shape) {
      this.#shapes.put(this.#node.name, this.#shape);
    }
  }

  #storeKey(endMs: number, key: string): string {
    let open = this.#open.get(endMs);
    if (open === undefined) {
      open = { storeKeys: new Map() };
      this.#open.set(endMs, open);
      this.dueAtMs = Math.min(this.dueAtMs, endMs + this.#node.graceMs);
    }
    let storeKey = open.storeKeys.get(key);
    if (storeKey === undefined) {
      storeKey = `${String(endMs + endShift).padStart(endDigits, '0')}|${key}`;
      open.storeKeys.set(key, storeKey);
    }
    return storeKey;
  }

  fire(watermarkMs: number, emit: EmitResult): void {
    while (this.dueAtMs <= watermarkMs) {
      const endMs = this.dueAtMs - this.#node.graceMs;
      if (!this.#fireWindow(endMs, emit)) return;
      this.#open.delete(endMs);
      this.#findDue();
    }
  }

  /** Gives out the keys of one window in order; false when told to stop before the last. */
  #fireWindow(endMs: number, emit: EmitResult): boolean {
    const storeKeys = this.#open.get(endMs)?.storeKeys ?? new Map<string, string>();
    for (const key of Array.from(storeKeys.keys()).sort()) {
      const storeKey = storeKeys.get(key);
      const accumulators = storeKey === undefined ? undefined : this.#store.get(storeKey);
      storeKeys.delete(key);
      if (storeKey === undefined || accumulators === undefined) continue;
      this.#store.delete(storeKey);
      if (!emit(this.#result(endMs, key, accumulators))) return storeKeys.size === 0;
    }
    return true;
  }

  #result(endMs: number, key: string, accumulators: readonly unknown[]): TimedResult {
    const { aggregates, name, sizeMs } = this.#node;
    const value: Record<string, unknown> = {
      key: keyOf(key),
      windowStart: endMs - sizeMs,
      windowEnd: endMs,
    };
    aggregates.forEach(([aggregateName, aggregate], index) => {
      value[aggregateName] = aggregate.result(accumulators[index]);
    });
    // A window's time is its last instant, so that windows over windows nest.
    return { operator: name, value, key, eventTimeMs: endMs - 1, receivers: this.#results };
  }

  #findDue(): void {
    this.dueAtMs = Infinity;
    for (const endMs of this.#open.keys()) {
      this.dueAtMs = Math.min(this.dueAtMs, endMs + this.#node.graceMs);
    }
  }

  reload(): void {
    this.#assertSameShape();
    this.#open.clear();
    for (const [storeKey] of this.#store.entries()) {
      const endMs = Number(storeKey.slice(0, endDigits)) - endShift;
      this.#storeKey(endMs, storeKey.slice(endDigits + 1));
    }
    this.#findDue();
  }

  /** Accumulators of another make would give wrong results, and nobody would see it. */
  #assertSameShape(): void {
    const { name } = this.#node;
    const found = this.#shapes.get(name);
    if (found === undefined || found === this.#shape || this.#store.size === 0) return;
    throw new StreamError(
      'STREAM_STATE_MISMATCH',
      `window ${name} has open windows of ${found}; the topology now says ${this.#shape}: put it ` +
        'back until the topology is drained, or give the changed window another name, which begins anew',
      { details: { window: name, found, wanted: this.#shape } },
    );
  }
}
