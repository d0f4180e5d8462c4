/** A check as it is written in test/conformance/checks: what is sent, and what must come of it. */
import type { SentEvent } from './app/send';
import type { ExpectedExecution } from './judge-durable';

/** A JSON Schema; `#/$defs/…` are those of checks/shapes.json. */
export type JsonSchema = Readonly<Record<string, unknown>>;

interface Named {
  readonly name: string;
  /** The rule, as a sentence. */
  readonly what: string;
  /** Where the rule is from. */
  readonly source: string;
}

export interface Step {
  readonly partition?: number;
  readonly partitionKey?: string;
  readonly events: readonly SentEvent[];
  /** The events so many times. Default 1. */
  readonly repeat?: number;
  /** The next step is sent without waiting for this one. */
  readonly together?: boolean;
  /**
   * How each invocation of these events ends, in order. Default: it returns, once. None: the function
   * must never see them, and the checkpoint must pass them all the same.
   */
  readonly outcomes?: readonly ('threw' | 'returned')[];
  /** Index of a step that must not be over before these events are delivered. */
  readonly during?: number;
}

export interface HubCheck extends Named {
  readonly kind: 'hub';
  readonly function: string;
  readonly steps: readonly Step[];
  /** Of every invocation of the function. */
  readonly record: JsonSchema;
}

export interface HttpCheck extends Named {
  readonly kind: 'http';
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly response: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly json?: JsonSchema;
    readonly textIsNot?: string;
  };
}

export interface TimerCheck extends Named {
  readonly kind: 'timer';
  readonly function: string;
  readonly invocations: number;
  readonly record: JsonSchema;
}

export interface DurableCheck extends Named {
  readonly kind: 'durable';
  readonly orchestrator: string;
  readonly input: unknown;
  /** Raised once the orchestration runs. */
  readonly raise?: { readonly event: string; readonly value: unknown };
  readonly output: unknown;
  /** Of what each episode is given. */
  readonly trigger: JsonSchema;
  /** One after the other: `continueAsNew` begins another. */
  readonly executions: readonly ExpectedExecution[];
  /** Types of the events that the status shows, in this order. */
  readonly shown?: readonly string[];
}

export type Check = HubCheck | HttpCheck | TimerCheck | DurableCheck;
