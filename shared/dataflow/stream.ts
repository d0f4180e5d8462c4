import type { Static, TObject } from 'typebox';
import type { FlushLimits, TablePlan } from '../model/table';
import type { TypedOperator } from './operator';
import { filter } from '../operators/filter';
import { flatMap } from '../operators/flat-map';
import { map } from '../operators/map';
import type { Aggregate } from './aggregates';
import type { GraphBuilder } from './builder';
import type { LatePolicy } from './graph';
import { columnsOf } from './schema';
import type { TumblingWindow } from './windows';

const defaultFlush: FlushLimits = { rowsMax: 50_000, bytesMax: 16 * 1024 * 1024, ageMaxMs: 60_000 };

export interface LakeOptions<Schema extends TObject> {
  /** The table's columns; the stream's values must match it. */
  readonly schema: Schema;
  /** Columns that become folders; readers that filter by them skip the other folders. */
  readonly partitionBy?: readonly (keyof Static<Schema> & string)[];
  /** Default `delta`: Parquet files under a Delta log. */
  readonly format?: TablePlan['format'];
  readonly flush?: Partial<FlushLimits>;
}

/** A stream of values in event time. Every method adds an operator; nothing runs here. */
export class Stream<Value> {
  protected readonly graph: GraphBuilder;
  protected readonly id: number;

  constructor(graph: GraphBuilder, id: number) {
    this.graph = graph;
    this.id = id;
  }

  /**
   * Adds an operator: one of shared/operators, or one of your own, in a file of its own.
   * `map`, `flatMap` and `filter` are shorthands.
   */
  apply<Next>(operator: TypedOperator<Value, Next>, name?: string): Stream<Next> {
    const id = this.graph.add({ kind: 'operator', input: this.id, operator }, name);
    return new Stream<Next>(this.graph, id);
  }

  /** One value for each value. A throw dead-letters the event. */
  map<Next>(apply: (value: Value) => Next): Stream<Next> {
    return this.apply(map(apply));
  }

  /** Any number of values for each value. */
  flatMap<Next>(apply: (value: Value) => Iterable<Next>): Stream<Next> {
    return this.apply(flatMap(apply));
  }

  /** Keeps the values for which `isKept` is true; the ledger counts the others as filtered. */
  filter(isKept: (value: Value) => boolean): Stream<Value> {
    return this.apply(filter(isKept));
  }

  /**
   * Brings all values of a key together: through an exchange hub, unless the source's partitions
   * hold each key in one place already.
   */
  keyBy(
    key: (value: Value) => string,
    options: { readonly name?: string; readonly isPartitionedBySource?: boolean } = {},
  ): KeyedStream<Value> {
    const id = this.graph.add(
      {
        kind: 'keyBy',
        input: this.id,
        key: key,
        isPartitionedBySource: options.isPartitionedBySource ?? false,
      },
      options.name,
    );
    return new KeyedStream(this.graph, id);
  }

  /**
   * Writes every value as a row of a lake table.
   * Delivery: exactly once for readers of the table's log.
   */
  toLake<Schema extends TObject>(
    this: Stream<Static<Schema>>,
    name: string,
    options: LakeOptions<Schema>,
  ): void {
    const partitionBy = options.partitionBy ?? [];
    const { columns, faults } = columnsOf(options.schema, partitionBy);
    for (const fault of faults) this.graph.fault(`table ${name}: ${fault}`);
    const table: TablePlan = {
      name,
      columns,
      partitionBy,
      format: options.format ?? 'delta',
      flush: { ...defaultFlush, ...options.flush },
    };
    this.graph.add({ kind: 'toLake', input: this.id, table }, name);
  }
}

/** A stream whose values of one key are in one task, in order. */
export class KeyedStream<Value> {
  readonly #graph: GraphBuilder;
  readonly #id: number;

  constructor(graph: GraphBuilder, id: number) {
    this.#graph = graph;
    this.#id = id;
  }

  /** Groups values by key and window of event time. */
  window(
    window: TumblingWindow,
    options: {
      /** A window is final, and given out, when the watermark is this far past its end. */
      readonly allowedLateness?: number;
      /** What becomes of values whose window is final. Default `drop`; all are counted. */
      readonly late?: LatePolicy;
      readonly name?: string;
    } = {},
  ): WindowedStream<Value> {
    return new WindowedStream(this.#graph, this.#id, { ...options, sizeMs: window.sizeMs });
  }
}

/** What a window gives out: its key, its bounds (half-open, epoch milliseconds) and its results. */
export type WindowResult<Aggregates> = {
  readonly key: string;
  readonly windowStart: number;
  readonly windowEnd: number;
} & {
  readonly [Name in keyof Aggregates]: Aggregates[Name] extends Aggregate<
    never,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any accumulator will do
    any,
    infer Result
  >
    ? Result
    : never;
};

export class WindowedStream<Value> {
  readonly #graph: GraphBuilder;
  readonly #input: number;
  readonly #options: {
    readonly sizeMs: number;
    readonly allowedLateness?: number;
    readonly late?: LatePolicy;
    readonly name?: string;
  };

  constructor(
    graph: GraphBuilder,
    input: number,
    options: {
      readonly sizeMs: number;
      readonly allowedLateness?: number;
      readonly late?: LatePolicy;
      readonly name?: string;
    },
  ) {
    this.#graph = graph;
    this.#input = input;
    this.#options = options;
  }

  /** One result per key and window, once, when the window is final. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- accumulators differ per aggregate
  aggregate<Aggregates extends Record<string, Aggregate<Value, any, any>>>(
    aggregates: Aggregates,
  ): AggregatedStream<Value, WindowResult<Aggregates>> {
    const { allowedLateness, late, name, sizeMs } = this.#options;
    const id = this.#graph.add(
      {
        kind: 'window',
        input: this.#input,
        sizeMs,
        allowedLatenessMs: allowedLateness ?? 0,
        late: late ?? 'drop',
        aggregates: Object.entries(aggregates),
      },
      name,
    );
    return new AggregatedStream(this.#graph, id, late === 'sideOutput');
  }
}

/** Window results, and beside them the values that came too late. */
export class AggregatedStream<Value, Result> extends Stream<Result> {
  readonly #hasLate: boolean;

  constructor(graph: GraphBuilder, id: number, hasLate: boolean) {
    super(graph, id);
    this.#hasLate = hasLate;
  }

  /** The values whose window was final; needs the late policy `sideOutput`. */
  get late(): Stream<Value> {
    if (!this.#hasLate) this.graph.fault('late is read but the late policy is not sideOutput');
    return new Stream<Value>(this.graph, this.graph.add({ kind: 'late', input: this.id }));
  }
}
