import type { Static, TObject } from 'typebox';
import type { FlushLimits, TablePlan } from '../model/table';
import type { TypedOperator } from '../operators/contract';
import { filter } from '../operators/filter';
import { flatMap } from '../operators/flat-map';
import { map } from '../operators/map';
import type { Aggregate } from '../operators/aggregates';
import type { GraphBuilder } from './builder';
import type { Edge, LatePolicy } from './graph';
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

/** What every node that keeps something, or decides where values go, is known by. */
export interface Identity {
  /**
   * The identity of what it keeps: never a position in the source. Unique in the topology. Another name is
   * another operator, which begins with nothing.
   */
  readonly name: string;
  /** Raise it when you change what the functions given here mean: what is kept is then of another make. Default 1. */
  readonly version?: number;
}

export interface KeyByOptions extends Identity {
  /** The source's partitions hold each key in one place already: no exchange is needed. */
  readonly isPartitionedBySource?: boolean;
}

/** A stream of values in event time. Every method adds an operator; nothing runs here. */
export class Stream<Value> {
  protected readonly graph: GraphBuilder;
  /** What gives its values out; of a union several. */
  protected readonly edges: readonly Edge[];

  constructor(graph: GraphBuilder, edges: readonly Edge[]) {
    this.graph = graph;
    this.edges = edges;
  }

  /**
   * Adds an operator: one of shared/operators, or one of your own, in a file of its own.
   * `map`, `flatMap` and `filter` are shorthands.
   */
  apply<Next>(operator: TypedOperator<Value, Next>, identity: Identity): Stream<Next> {
    const id = this.graph.add(
      { kind: 'operator', inputs: [this.edges], operator, version: versionOf(identity) },
      identity.name,
    );
    return new Stream(this.graph, [{ from: id, output: 0 }]);
  }

  /** One value for each value. A throw dead-letters the event. */
  map<Next>(apply: (value: Value) => Next): Stream<Next> {
    return this.#applyUnnamed(map(apply));
  }

  /** Any number of values for each value. */
  flatMap<Next>(apply: (value: Value) => Iterable<Next>): Stream<Next> {
    return this.#applyUnnamed(flatMap(apply));
  }

  /** Keeps the values for which `isKept` is true; the ledger counts the others as filtered. */
  filter(isKept: (value: Value) => boolean): Stream<Value> {
    return this.#applyUnnamed(filter(isKept));
  }

  #applyUnnamed<Next>(operator: TypedOperator<Value, Next>): Stream<Next> {
    const id = this.graph.addUnnamed({
      kind: 'operator',
      inputs: [this.edges],
      operator,
      version: 1,
    });
    return new Stream(this.graph, [{ from: id, output: 0 }]);
  }

  /**
   * Brings all values of a key together: through an exchange hub, unless the source's partitions
   * hold each key in one place already.
   */
  keyBy(key: (value: Value) => string, options: KeyByOptions): KeyedStream<Value> {
    const id = this.graph.add(
      {
        kind: 'keyBy',
        inputs: [this.edges],
        key,
        version: versionOf(options),
        isPartitionedBySource: options?.isPartitionedBySource ?? false,
      },
      options?.name,
    );
    return new KeyedStream(this.graph, [{ from: id, output: 0 }]);
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
    this.graph.add({ kind: 'toLake', inputs: [this.edges], table }, name);
  }
}

/** Absent options are a fault of their own, which the builder tells. */
function versionOf(identity: Partial<Identity> | undefined): number {
  return identity?.version ?? 1;
}

export interface WindowOptions extends Identity {
  /** How long a window waits past its end, in milliseconds; then it is final, and given out. Default 0. */
  readonly grace?: number;
  /** What becomes of values whose window is final. Default `drop`; all are counted. */
  readonly late?: LatePolicy;
}

/** A stream whose values of one key are in one task, in order. */
export class KeyedStream<Value> {
  readonly #graph: GraphBuilder;
  readonly #edges: readonly Edge[];

  constructor(graph: GraphBuilder, edges: readonly Edge[]) {
    this.#graph = graph;
    this.#edges = edges;
  }

  /** Adds an operator that keeps what it knows by key: one of your own, in a folder of its own. */
  apply<Next>(operator: TypedOperator<Value, Next>, identity: Identity): Stream<Next> {
    const id = this.#graph.add(
      { kind: 'operator', inputs: [this.#edges], operator, version: versionOf(identity) },
      identity.name,
    );
    return new Stream(this.#graph, [{ from: id, output: 0 }]);
  }

  /** Groups values by key and window of event time. */
  window(window: TumblingWindow, options: WindowOptions): WindowedStream<Value> {
    return new WindowedStream(this.#graph, this.#edges, window, options);
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
  readonly #edges: readonly Edge[];
  readonly #window: TumblingWindow;
  readonly #options: WindowOptions;

  constructor(
    graph: GraphBuilder,
    edges: readonly Edge[],
    window: TumblingWindow,
    options: WindowOptions,
  ) {
    this.#graph = graph;
    this.#edges = edges;
    this.#window = window;
    this.#options = options;
  }

  /** One result per key and window, once, when the window is final. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- accumulators differ per aggregate
  aggregate<Aggregates extends Record<string, Aggregate<Value, any, any>>>(
    aggregates: Aggregates,
  ): AggregatedStream<Value, WindowResult<Aggregates>> {
    const options = this.#options;
    const id = this.#graph.add(
      {
        kind: 'window',
        inputs: [this.#edges],
        version: versionOf(options),
        sizeMs: this.#window.sizeMs,
        graceMs: options?.grace ?? 0,
        late: options?.late ?? 'drop',
        aggregates: Object.entries(aggregates),
      },
      options?.name,
    );
    return new AggregatedStream(this.#graph, id, options?.late === 'sideOutput');
  }
}

/** Window results, and beside them the values that came too late. */
export class AggregatedStream<Value, Result> extends Stream<Result> {
  readonly #id: number;
  readonly #hasLate: boolean;

  constructor(graph: GraphBuilder, id: number, hasLate: boolean) {
    super(graph, [{ from: id, output: 0 }]);
    this.#id = id;
    this.#hasLate = hasLate;
  }

  /** The values whose window was final; needs the late policy `sideOutput`. */
  get late(): Stream<Value> {
    if (!this.#hasLate) this.graph.fault('late is read but the late policy is not sideOutput');
    return new Stream<Value>(this.graph, [{ from: this.#id, output: 1 }]);
  }
}
