import type { Validator } from 'typebox/compile';
import { invariant, StreamError, type ErrorCode } from '../model/errors';
import type { EventEnd, ExchangeTime, Program, ProgramEvent } from '../model/program';
import type {
  OperatorContext,
  Receiver,
  TimedOperator,
  TimedResult,
  PlaceTime,
} from '../dataflow/operator';
import type { KeyedStore } from '../state/keyed-state';
import type { SourceNode } from '../dataflow/graph';
import { timeTakenMs, watermarkAfterMs, watermarkBeforeMs } from '../time/source-time';
import { settleInexact } from './exact-numbers';

/** Beyond these the ends of windows would no longer be exact, nor have their place in order. */
const timeMsMin = -(10 ** 15);
const timeMsMax = 8 * 10 ** 15;

interface SavedTime {
  readonly watermarkMs: number | null;
  readonly eventTimeMaxMs: number | null;
}

/** An operator that acts with time, and how time stands with what it takes in. */
export interface PlacedTimed {
  readonly operator: TimedOperator;
  readonly time: PlaceTime;
}

export interface StageProgramOptions {
  readonly context: OperatorContext;
  readonly head: Receiver;
  /** In the data's order. */
  readonly timed: readonly PlacedTimed[];
  /** Of what is sent, by position in `StagePlan.exchanges`. */
  readonly exchangeTimes: readonly PlaceTime[];
  /** Null for a stage that reads an exchange. */
  readonly source: SourceNode | null;
  readonly validator: Validator | null;
}

/**
 * A stage bound to one task. Lateness is judged by the watermark before an event; then the event's
 * own time moves it and what became due fires. So results do not depend on batch cuts.
 */
export class StageProgram implements Program {
  readonly #context: OperatorContext;
  readonly #head: Receiver;
  readonly #timed: readonly PlacedTimed[];
  readonly #exchangeTimes: readonly PlaceTime[];
  readonly #source: SourceNode | null;
  readonly #validator: Validator | null;
  readonly #times: KeyedStore<SavedTime>;
  #eventTimeMaxMs = -Infinity;
  #isTimeChanged = false;
  #resultsLeft = Infinity;
  #refuseNextResult: StreamError | null = null;
  /** Where the event under way is, for the dead letters of what it makes fire. */
  #position = { sequenceNumber: 0, index: 0, enqueuedTimeMs: 0 };

  constructor(options: StageProgramOptions) {
    this.#context = options.context;
    this.#head = options.head;
    this.#timed = options.timed;
    this.#exchangeTimes = options.exchangeTimes;
    this.#source = options.source;
    this.#validator = options.validator;
    this.#times = options.context.state.store('$time');
    this.#readTimes();
  }

  get watermarkMs(): number | null {
    return finiteOrNull(this.#context.watermarkMs);
  }

  exchangeTime(exchange: number): ExchangeTime {
    const time = this.#exchangeTimes[exchange];
    invariant(time !== undefined, 'every exchange of the stage is compiled', { exchange });
    return { watermarkMs: finiteOrNull(time.watermarkMs), isAwaited: time.isAwaited };
  }

  get eventTimeMaxMs(): number | null {
    return finiteOrNull(this.#eventTimeMaxMs);
  }

  process(event: ProgramEvent): EventEnd {
    this.#position = event;
    const context = this.#context;
    const stateMark = context.state.mark();
    context.outputs.mark();
    context.isEmitted = false;
    context.isLate = false;
    const { watermarkMs } = context;
    context.markMs =
      this.#source === null
        ? (event.markMs ?? -Infinity)
        : watermarkBeforeMs(this.#source, watermarkMs, event.enqueuedTimeMs);
    let { value } = event;
    let eventTimeMs: number;
    try {
      if (this.#source === null) {
        eventTimeMs = event.eventTimeMs ?? 0;
      } else {
        context.operator = this.#source.name;
        if (event.inexact !== undefined) {
          const settled = settleInexact(this.#source.schema, value, event.inexact);
          if ('fault' in settled) return this.#deadLetter('STREAM_EVENT_INVALID', settled.fault);
          ({ value } = settled);
        }
        const fault = this.#faultIn(value);
        if (fault !== null) return this.#deadLetter('STREAM_EVENT_INVALID', fault);
        const time = { eventTimeMs: this.#timeOf(value), enqueuedTimeMs: event.enqueuedTimeMs };
        const takenMs = timeTakenMs(this.#source, time);
        if (takenMs === undefined) {
          const limitMs = this.#source.early.limitMs;
          return this.#deadLetter('STREAM_EVENT_EARLY', tooEarly({ ...time, limitMs }));
        }
        eventTimeMs = takenMs;
      }
      this.#head(value, event.key, eventTimeMs);
    } catch (error) {
      context.state.rollback(stateMark);
      context.outputs.rollbackToMark();
      return this.#deadLetter(codeOf(error), describe(error));
    }
    if (this.#source !== null) this.#moveTime(eventTimeMs, event.enqueuedTimeMs);
    if (context.isEmitted) return 'emitted';
    return context.isLate ? 'late' : 'filtered';
  }

  #faultIn(value: unknown): string | null {
    const validator = this.#validator;
    if (validator === null || validator.Check(value)) return null;
    const [error] = validator.Errors(value);
    const path =
      error === undefined || error.instancePath === '' ? 'the event' : error.instancePath;
    return `${path} ${error?.message ?? 'does not match the schema'}`;
  }

  #timeOf(value: unknown): number {
    const eventTime = this.#source?.eventTime as (value: unknown) => unknown;
    const timeMs = eventTime(value);
    if (typeof timeMs === 'number' && timeMs >= timeMsMin && timeMs <= timeMsMax) {
      // Logs and windows know whole milliseconds.
      return Math.floor(timeMs);
    }
    throw new TypeError(
      `event time must be epoch milliseconds from the year -29719 to 255479, it is ${String(timeMs)}`,
    );
  }

  #moveTime(timeMs: number, enqueuedTimeMs: number): void {
    const source = this.#source;
    if (source === null) return;
    const beforeMs = watermarkBeforeMs(source, this.#context.watermarkMs, enqueuedTimeMs);
    if (timeMs > this.#eventTimeMaxMs) {
      this.#eventTimeMaxMs = timeMs;
      this.#isTimeChanged = true;
    }
    this.advanceWatermark(watermarkAfterMs(source, beforeMs, { timeMs, enqueuedTimeMs }));
  }

  advanceWatermark(watermarkMs: number): void {
    const context = this.#context;
    if (watermarkMs <= context.watermarkMs) return;
    context.watermarkMs = watermarkMs;
    this.#isTimeChanged = true;
    this.#fireDue();
  }

  beginCommit(resultsMax: number, refuseFirst: StreamError | null = null): void {
    this.#resultsLeft = resultsMax;
    this.#refuseNextResult = refuseFirst;
    this.#fireDue();
  }

  get isFiringDue(): boolean {
    return this.#timed.some(({ operator, time }) => operator.dueAtMs <= time.watermarkMs);
  }

  get nextDueMs(): number | null {
    return finiteOrNull(Math.min(Infinity, ...this.#timed.map(({ operator }) => operator.dueAtMs)));
  }

  #fireDue(): void {
    for (const { operator, time } of this.#timed) {
      if (this.#resultsLeft <= 0 || this.#context.outputs.isFull) return;
      const { watermarkMs } = time;
      if (operator.dueAtMs <= watermarkMs) operator.fire(watermarkMs, this.#emitResult);
    }
  }

  /** What time made due is nobody's event: when it fails downstream, the result is the dead letter. */
  readonly #emitResult = (result: TimedResult): boolean => {
    const context = this.#context;
    const { isEmitted, isLate, markMs } = context;
    const stateMark = context.state.mark();
    context.outputs.mark();
    context.markMs = -Infinity;
    try {
      this.#assertNotRefused(result);
      for (const receive of result.receivers) {
        receive(result.value, result.key, result.eventTimeMs);
      }
    } catch (error) {
      context.state.rollback(stateMark);
      context.outputs.rollbackToMark();
      this.#deadLetter('STREAM_RESULT_FAILED', describe(error), result.value);
      context.counters['deadLetteredResults'] = (context.counters['deadLetteredResults'] ?? 0) + 1;
    }
    context.isEmitted = isEmitted;
    context.isLate = isLate;
    context.markMs = markMs;
    this.#resultsLeft -= 1;
    return this.#resultsLeft > 0 && !context.outputs.isFull;
  };

  #assertNotRefused(result: TimedResult): void {
    const refusal = this.#refuseNextResult;
    if (refusal === null) return;
    this.#refuseNextResult = null;
    this.#context.operator = result.operator;
    throw refusal;
  }

  #deadLetter(code: ErrorCode, message: string, payload?: unknown): 'deadLettered' {
    const { enqueuedTimeMs, index, sequenceNumber } = this.#position;
    const { operator, outputs } = this.#context;
    outputs.deadLetter({
      ...{ sequenceNumber, index, code, message, operator, enqueuedTimeMs },
      ...(payload !== undefined && { payload }),
    });
    return 'deadLettered';
  }

  beforeCommit(): void {
    if (!this.#isTimeChanged) return;
    this.#isTimeChanged = false;
    this.#times.put('time', {
      watermarkMs: this.watermarkMs,
      eventTimeMaxMs: this.eventTimeMaxMs,
    });
  }

  afterRollback(): void {
    this.#readTimes();
    for (const { operator } of this.#timed) operator.reload();
  }

  #readTimes(): void {
    const saved = this.#times.get('time');
    this.#context.watermarkMs = saved?.watermarkMs ?? -Infinity;
    this.#eventTimeMaxMs = saved?.eventTimeMaxMs ?? -Infinity;
    this.#isTimeChanged = false;
  }

  takeCounters(): Readonly<Record<string, number>> {
    const counters = { ...this.#context.counters };
    for (const name of Object.keys(counters)) this.#context.counters[name] = 0;
    return counters;
  }
}

function finiteOrNull(number: number): number | null {
  return Number.isFinite(number) ? number : null;
}

function tooEarly(event: {
  readonly eventTimeMs: number;
  readonly enqueuedTimeMs: number;
  readonly limitMs: number;
}): string {
  const byMs = event.eventTimeMs - event.enqueuedTimeMs;
  return `it is dated ${new Date(event.eventTimeMs).toISOString()}, ${byMs} ms after it was enqueued; ${event.limitMs} ms are allowed (early.limit)`;
}

/** Operators of the engine say which fault of the event it was; anything else is the user's throw. */
function codeOf(error: unknown): ErrorCode {
  return error instanceof StreamError && error.disposition === 'quarantine'
    ? error.code
    : 'STREAM_USER_FUNCTION_THREW';
}

function describe(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'what was thrown cannot be written as text';
  }
}
