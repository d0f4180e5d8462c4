import type { Static, TObject } from 'typebox';
import type { Key } from '../model/key';
import type { FlushLimits, TablePlan } from '../model/table';
import type { AppliedOperator, OperatorSpec, TypedOperator } from '../operators/contract';
import { dedupe, type DedupeOptions } from '../operators/dedupe';
import { filter } from '../operators/filter';
import { flatMap } from '../operators/flat-map';
import { join } from '../operators/join';
import { map } from '../operators/map';
import type { Aggregate } from '../operators/aggregates';
import type { GraphBuilder } from './builder';
import type { Edge, LatePolicy } from './graph';
import { shapeFaults } from './operator-shape';
import { columnsOf } from './schema';
import type { TableNameFor, Update, WindowResult } from './value-types';
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

type Applied =
  | readonly [operator: AppliedOperator, identity: Identity]
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each operator has settings of its own type
  | readonly [spec: OperatorSpec<any>, config: unknown, identity: Identity];

/** More than anybody writes: a union of a union of one stream doubles each time. */
const edgesMax = 256;

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
   * Adds an operator of your own, in a file of its own: a specification with its settings, or what a function
   * made of both. One that keeps values by key is for keyed streams.
   */
  apply<Next>(operator: TypedOperator<Value, Next>, identity: Identity): Stream<Next>;
  apply<Config, Next = Value>(
    spec: OperatorSpec<Config>,
    config: Config,
    identity: Identity,
  ): Stream<Next>;
  apply<Next>(...given: Applied): Stream<Next> {
    return new Stream(this.graph, this.applied(given, [this.edges], false));
  }

  protected applied(
    given: Applied,
    inputs: readonly (readonly Edge[])[],
    isKeyed: boolean,
  ): readonly Edge[] {
    const [operator, identity] =
      given.length === 3 ? [{ spec: given[0], config: given[1] }, given[2]] : [given[0], given[1]];
    const faults = Array.from(shapeFaults(operator));
    for (const fault of faults) this.graph.fault(fault);
    if (faults.length > 0) return this.edges;
    const ports = operator.spec.shape(operator.config).inputs;
    if (ports.length !== inputs.length) {
      this.graph.fault(
        `operator ${operator.spec.kind} has ${ports.length} inputs, ${inputs.length} are given`,
      );
    }
    if (!isKeyed && ports.some((port) => port.isKeyed === true)) {
      this.graph.fault(`operator ${operator.spec.kind} keeps values by key: keyBy first`);
    }
    const version = versionOf(identity);
    const id = this.graph.add({ kind: 'operator', inputs, operator, version }, identity?.name);
    return [{ from: id, output: 0 }];
  }

  /** One value for each value. A throw dead-letters the event. */
  map<Next>(apply: (value: Value) => Next): Stream<Next> {
    return new Stream(this.graph, this.step(map(apply)));
  }

  /** Any number of values for each value. */
  flatMap<Next>(apply: (value: Value) => Iterable<Next>): Stream<Next> {
    return new Stream(this.graph, this.step(flatMap(apply)));
  }

  /** Keeps the values for which `isKept` is true; the ledger counts the others as filtered. */
  filter(isKept: (value: Value) => boolean): Stream<Value> {
    return new Stream(this.graph, this.step(filter(isKept)));
  }

  /** The values of several streams, also of different sources. Values of one that is given twice come twice. */
  union<Other>(...others: readonly Stream<Other>[]): Stream<Value | Other> {
    return new Stream(this.graph, this.edgesWith(others));
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever they carry
  protected edgesWith(others: readonly Stream<any>[]): readonly Edge[] {
    if (others.some(({ graph }) => graph !== this.graph)) {
      this.graph.fault('a stream of another topology cannot be united with one of this');
    }
    const edges = [this.edges, ...others.map((other) => other.edges)].flat();
    if (edges.length > edgesMax) {
      this.graph.fault(`a union of ${edges.length} streams, ${edgesMax} are allowed`);
    }
    return edges.slice(0, edgesMax);
  }

  /** Adds an operator that keeps nothing. */
  protected step(operator: TypedOperator<Value, unknown>): readonly Edge[] {
    const id = this.graph.addUnnamed({
      kind: 'operator',
      inputs: [this.edges],
      operator,
      version: 1,
    });
    return [{ from: id, output: 0 }];
  }

  /**
   * Brings all values of a key together: through an exchange hub, unless the source's partitions
   * hold each key in one place already.
   */
  keyBy<const K extends Key>(
    key: (value: Value) => K,
    options: KeyByOptions,
  ): KeyedStream<K, Value> {
    const id = this.graph.add(
      {
        kind: 'keyBy',
        inputs: [this.edges],
        key: key,
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
    name: TableNameFor<Value, Static<Schema>>,
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

export interface JoinOptions {
  /** How far apart in event time the values of a pair may be, in milliseconds. */
  readonly within: number;
  /** How far behind the watermark of its source a value may come and still be joined. Default 0. */
  readonly grace?: number;
}

/** A stream whose values of one key are in one task, in order. What keeps its values keeps them by key. */
export class KeyedStream<K extends Key, Value> extends Stream<Value> {
  /** One value for each value, of the same key. A throw dead-letters the event. */
  override map<Next>(apply: (value: Value) => Next): KeyedStream<K, Next> {
    return new KeyedStream(this.graph, this.step(map(apply)));
  }

  /** Any number of values for each value, of the same key. */
  override flatMap<Next>(apply: (value: Value) => Iterable<Next>): KeyedStream<K, Next> {
    return new KeyedStream(this.graph, this.step(flatMap(apply)));
  }

  /** Keeps the values for which `isKept` is true; the ledger counts the others as filtered. */
  override filter(isKept: (value: Value) => boolean): KeyedStream<K, Value> {
    return new KeyedStream(this.graph, this.step(filter(isKept)));
  }

  /** Adds an operator of your own, which gives out values of the same key. */
  override apply<Next>(
    operator: TypedOperator<Value, Next>,
    identity: Identity,
  ): KeyedStream<K, Next>;
  override apply<Config, Next = Value>(
    spec: OperatorSpec<Config>,
    config: Config,
    identity: Identity,
  ): KeyedStream<K, Next>;
  override apply<Next>(...given: Applied): KeyedStream<K, Next> {
    return new KeyedStream(this.graph, this.applied(given, [this.edges], true));
  }

  /**
   * As `apply`, for an operator of two inputs: this stream comes through the first, the other one through the
   * second. Values of one key come to one task, through one exchange.
   */
  applyWith<Other, Next>(
    other: KeyedStream<K, Other>,
    operator: TypedOperator<Value | Other, Next>,
    identity: Identity,
  ): KeyedStream<K, Next> {
    this.edgesWith([other]);
    return new KeyedStream(
      this.graph,
      this.applied([operator, identity], [this.edges, other.edges], true),
    );
  }

  /** As `apply`, for an operator whose results may be replaced by later ones of their key. */
  applyUpdates<Next>(
    operator: TypedOperator<Value, Update<Next>>,
    identity: Identity,
  ): Updates<K, Next> {
    return new Updates(
      new KeyedStream(this.graph, this.applied([operator, identity], [this.edges], true)),
    );
  }

  /**
   * The values of several streams. Those of keyed streams stay together by key: they go through one exchange,
   * and what keeps them has those of one key in one task.
   */
  override union<Other>(...others: readonly KeyedStream<K, Other>[]): KeyedStream<K, Value | Other>;
  override union<Other>(...others: readonly Stream<Other>[]): Stream<Value | Other>;
  override union<Other>(...others: readonly Stream<Other>[]): Stream<Value | Other> {
    const edges = this.edgesWith(others);
    const isKeyed = others.every((other) => other instanceof KeyedStream);
    return isKeyed
      ? new KeyedStream<K, Value | Other>(this.graph, edges)
      : new Stream(this.graph, edges);
  }

  /**
   * Lets the first of values through that are one: of one key (and one `by`), less than `within` milliseconds
   * apart in event time. The others are counted and end as filtered.
   */
  dedupe(options: Identity & DedupeOptions<Value>): KeyedStream<K, Value> {
    return this.apply(dedupe(options), options);
  }

  /**
   * Pairs of this stream's values with another's, of one key and not more than `within` milliseconds apart in
   * event time: each pair once.
   */
  join<Right, Pair>(
    other: KeyedStream<K, Right>,
    options: Identity & JoinOptions,
    pair: (left: Value, right: Right) => Pair,
  ): KeyedStream<K, Pair> {
    const { grace = 0, within } = options;
    const operator = join({ withinMs: within, graceMs: grace, pair });
    return this.applyWith(other, operator, options);
  }

  /** Groups values by key and window of event time. */
  window(window: TumblingWindow, options: WindowOptions): WindowedStream<K, Value> {
    return new WindowedStream(this.graph, this.edges, window, options);
  }
}

/**
 * Rows that replace each other, by key. They cannot be aggregated or joined, for a row that is replaced would
 * have been counted: take the last of each with `finals`.
 */
export class Updates<K extends Key, Value> {
  readonly #updates: KeyedStream<K, Update<Value>>;

  constructor(updates: KeyedStream<K, Update<Value>>) {
    this.#updates = updates;
  }

  /** Only what no later one will replace: rows that are added, and stay. */
  finals(): KeyedStream<K, Value> {
    return this.#updates.filter(({ isFinal }) => isFinal).map(({ value }) => value);
  }
}

export class WindowedStream<K extends Key, Value> {
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
  ): AggregatedStream<K, Value, WindowResult<K, Aggregates>> {
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
export class AggregatedStream<K extends Key, Value, Result> extends KeyedStream<K, Result> {
  readonly #id: number;
  readonly #hasLate: boolean;

  constructor(graph: GraphBuilder, id: number, hasLate: boolean) {
    super(graph, [{ from: id, output: 0 }]);
    this.#id = id;
    this.#hasLate = hasLate;
  }

  /** The values whose window was final; needs the late policy `sideOutput`. */
  get late(): KeyedStream<K, Value> {
    if (!this.#hasLate) this.graph.fault('late is read but the late policy is not sideOutput');
    return new KeyedStream<K, Value>(this.graph, [{ from: this.#id, output: 1 }]);
  }
}
