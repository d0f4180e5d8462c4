import type { ProgramOutputs, StagePlan } from '../model/program';
import type { KeyedState } from '../state/keyed-state';

/** What an operator gives its values to: the value with its key and event time. */
export type Receiver = (value: unknown, key: string | null, eventTimeMs: number) => void;

/**
 * An operator: `compile` is called once per task and gives what its input's values are given to.
 * Deterministic; what it remembers is in `context.state`. It sets `context.operator` before it calls
 * user code, and what that throws dead-letters the event.
 */
export interface Operator {
  /** The method that makes it, as in `map`; part of its default name. */
  readonly kind: string;
  readonly compile: (place: OperatorPlace) => Receiver;
}

/** An operator from values of one type to values of another, for `Stream.apply`. */
export interface TypedOperator<Value, Next> extends Operator {
  /** Never called: it carries the types. */
  readonly types?: (value: Value) => Next;
}

/** How time stands at a place in a stage. */
export interface PlaceTime {
  /** No on-time value older than this comes there any more. */
  readonly watermarkMs: number;
  /** True while windows before that place are open: values come there though no input comes. */
  readonly isAwaited: boolean;
}

export interface OperatorPlace {
  /** Unique among operators of its kind in the topology. */
  readonly name: string;
  readonly context: OperatorContext;
  /** What takes this operator's values. */
  readonly next: Receiver;
  /** Registers what acts when the watermark passes a point in time. */
  readonly addTimed: (operator: TimedOperator) => void;
}

/** What the operators of one task share. */
export interface OperatorContext {
  readonly plan: StagePlan;
  readonly state: KeyedState;
  readonly outputs: ProgramOutputs;
  /** The watermark of the stage's input, before the event under way. */
  watermarkMs: number;
  /**
   * The watermark of its source partition before the event under way: late is judged by it. −Infinity for what
   * time made: it is never late.
   */
  markMs: number;
  /** The operator under way, for dead letters. */
  operator: string;
  /** Set when the event under way reached a table, an exchange or keyed state. */
  isEmitted: boolean;
  /** Set when a window refused the event under way. */
  isLate: boolean;
  readonly counters: Record<string, number>;
}

/** An operator that acts when the watermark passes a point in time. */
export interface TimedOperator {
  /** Infinity when nothing is waiting. */
  readonly dueAtMs: number;
  /**
   * Gives out what is due, earliest first, until `emit` says to stop: what is left stays due.
   */
  fire(watermarkMs: number, emit: EmitResult): void;
  /** Reads its index anew from the state. */
  reload(): void;
}

/** Takes a result; false: no more now. */
export type EmitResult = (result: TimedResult) => boolean;

export interface TimedResult {
  readonly operator: string;
  readonly value: unknown;
  readonly key: string;
  readonly eventTimeMs: number;
  readonly receivers: readonly Receiver[];
}

export function addToCounter(context: OperatorContext, name: string): void {
  context.counters[name] = (context.counters[name] ?? 0) + 1;
}

/** One receiver that serves several, without a loop where there is one. */
export function toAll(receivers: readonly Receiver[]): Receiver {
  const [first, second] = receivers;
  if (first === undefined) return () => undefined;
  if (second === undefined) return first;
  return (value, key, eventTimeMs) => {
    for (const receiver of receivers) receiver(value, key, eventTimeMs);
  };
}
