import type { Validator } from 'typebox/compile';
import type { SourceNode } from '../dataflow/graph';
import type { Refusal, EventSegment } from '../model/segment';
import { StreamError } from '../model/errors';
import { timeTakenMs, watermarkAfterMs, watermarkBeforeMs } from '../time/source-time';
import { settleInexact } from './exact-numbers';

/** Beyond these the ends of windows would no longer be exact, nor have their place in order. */
const timeMsMin = -(10 ** 15);
const timeMsMax = 8 * 10 ** 15;

/** What a stage makes of the events of its source before operators see them. */
export class SourceEvents {
  readonly #source: SourceNode;
  readonly #validator: Validator;

  constructor(source: SourceNode, validator: Validator) {
    this.#source = source;
    this.#validator = validator;
  }

  /** Settles an event's numbers, checks it and asks for its time; where it is refused, says so in the segment. */
  admit(segment: EventSegment, at: number): void {
    if (segment.refusals[at] !== undefined) return;
    try {
      this.settle(segment, at);
      const value = segment.values[at];
      const fault = this.#faultIn(value);
      if (fault === null) this.#admitTime(segment, at, this.#timeOf(value));
      else segment.refusals[at] = this.#refusal('STREAM_EVENT_INVALID', fault);
    } catch (error) {
      segment.refusals[at] =
        error instanceof InexactEvent
          ? this.#refusal('STREAM_EVENT_INVALID', error.message)
          : this.#refusal(codeOf(error), describe(error));
    }
  }

  /** Settles numbers that a value does not hold as they were sent. */
  settle(segment: EventSegment, at: number): void {
    const inexact = segment.inexact[at];
    if (inexact === undefined) return;
    const settled = settleInexact(this.#source.schema, segment.values[at], inexact);
    if ('fault' in settled) throw new InexactEvent(settled.fault);
    segment.values[at] = settled.value;
  }

  /** The watermark that an event meets, given the one of the task. */
  watermarkBefore(watermarkMs: number, enqueuedTimeMs: number): number {
    return watermarkBeforeMs(this.#source, watermarkMs, enqueuedTimeMs);
  }

  /** The watermark behind an event that was taken in. */
  watermarkAfter(beforeMs: number, timeMs: number, enqueuedTimeMs: number): number {
    return watermarkAfterMs(this.#source, beforeMs, { timeMs, enqueuedTimeMs });
  }

  #admitTime(segment: EventSegment, at: number, eventTimeMs: number): void {
    const enqueuedTimeMs = segment.enqueuedTimesMs[at] ?? 0;
    const takenMs = timeTakenMs(this.#source, { eventTimeMs, enqueuedTimeMs });
    if (takenMs !== undefined) {
      segment.timesMs[at] = takenMs;
      return;
    }
    const limitMs = this.#source.early.limitMs;
    const reason = tooEarly({ eventTimeMs, enqueuedTimeMs, limitMs });
    segment.refusals[at] = this.#refusal('STREAM_EVENT_EARLY', reason);
  }

  #refusal(code: Refusal['code'], message: string): Refusal {
    return { code, message, operator: this.#source.name };
  }

  #faultIn(value: unknown): string | null {
    if (this.#validator.Check(value)) return null;
    const [error] = this.#validator.Errors(value);
    const path =
      error === undefined || error.instancePath === '' ? 'the event' : error.instancePath;
    return `${path} ${error?.message ?? 'does not match the schema'}`;
  }

  #timeOf(value: unknown): number {
    const eventTime = this.#source.eventTime as (value: unknown) => unknown;
    const timeMs = eventTime(value);
    if (typeof timeMs === 'number' && timeMs >= timeMsMin && timeMs <= timeMsMax) {
      // Logs and windows know whole milliseconds.
      return Math.floor(timeMs);
    }
    throw new TypeError(
      `event time must be epoch milliseconds from the year -29719 to 255479, it is ${String(timeMs)}`,
    );
  }
}

function tooEarly(event: {
  readonly eventTimeMs: number;
  readonly enqueuedTimeMs: number;
  readonly limitMs: number;
}): string {
  const byMs = event.eventTimeMs - event.enqueuedTimeMs;
  return `it is dated ${new Date(event.eventTimeMs).toISOString()}, ${byMs} ms after it was enqueued; ${event.limitMs} ms are allowed (early.limit)`;
}

class InexactEvent extends Error {}

/** Operators of the engine say which fault of the event it was; anything else is the user's throw. */
export function codeOf(error: unknown): Refusal['code'] {
  return error instanceof StreamError && error.disposition === 'quarantine'
    ? error.code
    : 'STREAM_USER_FUNCTION_THREW';
}

export function describe(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'what was thrown cannot be written as text';
  }
}
