import type { ProgramOutputs } from '../model/program';
import type { Columns, OperatorInstance, Rows, Selector } from '../operators/contract';
import { columnsOf, rowsFor, takerName } from '../operators/exchange/carried';
import type { TaskStores } from '../state/task-stores';
import type { Books } from './books';
import { freezeDeep, ownCopy } from '../model/freeze';
import type { OperatorStores } from '../state/stores';
import { StreamError } from '../model/errors';
import { NodeContext } from './node-context';
import { describe } from './source-events';
import { addRow, RowBuffer } from './rows';
import type { StageGraph, StageNode } from './stage-graph';

const noColumns: Columns = [];

/** An edge of the graph, with the rows that wait on it for the node that it leads to. */
interface Inbox {
  readonly from: number;
  readonly output: number;
  readonly to: number;
  readonly port: number;
  rows: Rows | null;
}

/** A node of a stage at work in one task. */
export interface NodeRuntime {
  readonly place: number;
  readonly name: string;
  readonly instance: OperatorInstance;
  readonly context: NodeContext;
  readonly stores: OperatorStores | null;
  readonly hasTimers: boolean;
  /** By port, what it asks of values; null: it is given them. */
  readonly args: readonly (readonly Selector[] | null)[];
  /** It takes what came through the stage's exchange, which may carry columns in the place of values. */
  readonly isFirst: boolean;
  /** By port, then by edge. */
  readonly inboxes: readonly Inbox[];
  readonly outputs: readonly RowBuffer[];
  /** By output. */
  readonly consumers: readonly (readonly Inbox[])[];
}

/**
 * The operators of a stage in topological order, and the rows between them. It runs rows through them and
 * knows nothing of events, time or what is taken back.
 */
export class Dataflow {
  readonly nodes: readonly NodeRuntime[];
  /** What takes what the stage reads, by port. */
  readonly #heads: readonly (readonly Inbox[])[];
  /** The operator under way, for dead letters. */
  operator = '';
  readonly #single: RowBuffer;
  /** One event or result is under way. */
  #isAlone = false;

  constructor(
    graph: StageGraph,
    world: {
      readonly state: TaskStores;
      readonly outputs: ProgramOutputs;
      readonly books: Books;
      readonly isKeyed: boolean;
    },
  ) {
    const inboxes = graph.nodes.map((node, to) => inboxesOf(node, to));
    const all = inboxes.flat();
    const consumersOf = (from: number, output: number): readonly Inbox[] =>
      all.filter((inbox) => inbox.from === from && inbox.output === output);
    this.#heads = Array.from({ length: graph.ports }, (_, port) => consumersOf(-1, port));
    const keyed: boolean[] = [];
    this.nodes = graph.nodes.map((node, place) => {
      const {
        inputs,
        outputs: ports,
        stores: shapes,
        timers,
        isMemoryOnly,
      } = node.spec.shape(node.config);
      assertWired(node, inputs.length);
      const own = inboxes[place] ?? [];
      const isInputKeyed = own.every(({ from }) => (from < 0 ? world.isKeyed : keyed[from]));
      const isKeyed = isInputKeyed || ports.some((port) => port.isKeyed === true);
      keyed.push(isKeyed);
      const hasTimers = timers !== 'none';
      const stores =
        shapes.length > 0 || hasTimers
          ? world.state.open(node.name, { stores: shapes, timers })
          : null;
      const outputs = ports.map(() => new RowBuffer(isKeyed));
      const context = new NodeContext({
        ...{ name: node.name, outputs, stores, books: world.books },
        isMemoryOnly: isMemoryOnly === true,
        stageOutputs: world.outputs,
      });
      const instance = opened(node, context, hasTimers);
      const consumers = ports.map((_, output) => consumersOf(place, output));
      const { name } = node;
      return {
        place,
        name,
        instance,
        context,
        stores,
        hasTimers,
        args: inputs.map((_, port) => node.spec.args?.(node.config, port) ?? null),
        isFirst: world.isKeyed && own.some(({ from }) => from < 0),
        inboxes: own,
        outputs,
        consumers,
      };
    });
    this.#single = new RowBuffer(true);
    for (const node of this.nodes) node.context.drain = (output) => this.#drain(node, output);
  }

  /**
   * What one event makes may have no end, and is refused where it ends in a table or an exchange: so it has
   * to get there. Only of one that is alone: what several make in between would come out in another order.
   */
  #drain(node: NodeRuntime, output: number): void {
    if (!this.#isAlone) throw new Error('the events of this segment run one by one');
    const rows = node.outputs[output];
    if (rows === undefined) return;
    deliver(rows, node.consumers[output] ?? []);
    this.#runFrom(node.place + 1);
    this.#clear(node.place + 1);
    rows.clear();
    this.operator = node.name;
  }

  /** Runs what the stage read, by port, through all nodes. What a node throws is thrown. */
  run(rowsByPort: readonly RowBuffer[], isAlone: boolean): void {
    this.#isAlone = isAlone;
    try {
      for (let port = 0; port < rowsByPort.length; port += 1) {
        const rows = rowsByPort[port];
        const heads = this.#heads[port];
        if (rows !== undefined && heads !== undefined && rows.length > 0) deliver(rows, heads);
      }
      this.#runFrom(0);
    } finally {
      this.#clear(0);
    }
  }

  /** Runs one row that a node gave out through the nodes behind it. */
  runRow(node: NodeRuntime, output: number, rows: Rows, index: number): void {
    const single = this.#single;
    this.#isAlone = true;
    try {
      single.keys = rows.keys === null ? null : [];
      addRow(single, rows, index);
      deliver(single, node.consumers[output] ?? []);
      this.#runFrom(node.place + 1);
    } finally {
      single.clear();
      this.#clear(node.place + 1);
    }
  }

  #runFrom(first: number): void {
    const { nodes } = this;
    for (let place = first; place < nodes.length; place += 1) {
      const node = nodes[place];
      if (node === undefined) continue;
      const [inbox] = node.inboxes;
      if (node.inboxes.length === 1) {
        if (inbox === undefined || inbox.rows === null) continue;
        this.operator = node.name;
        process(node, inbox.port, inbox.rows);
      } else {
        this.operator = node.name;
        processMerged(node);
      }
      const { consumers, outputs } = node;
      for (let output = 0; output < outputs.length; output += 1) {
        const rows = outputs[output]?.rows ?? null;
        const takers = consumers[output];
        if (rows !== null && takers !== undefined) deliver(rows, takers);
      }
    }
  }

  #clear(first: number): void {
    const { nodes } = this;
    for (let place = first; place < nodes.length; place += 1) {
      const node = nodes[place];
      if (node === undefined) continue;
      for (const inbox of node.inboxes) inbox.rows = null;
      for (const output of node.outputs) output.clear();
    }
  }
}

function inboxesOf(node: StageNode, to: number): Inbox[] {
  return node.inputs.flatMap((edges, port) =>
    edges.map(({ from, output }) => ({ from, output, to, port, rows: null })),
  );
}

/** @throws StreamError STREAM_TOPOLOGY_INVALID */
function opened(
  { config, name, spec }: StageNode,
  context: NodeContext,
  hasTimers: boolean,
): OperatorInstance {
  const refusal = (why: string, cause?: unknown): StreamError =>
    new StreamError('STREAM_TOPOLOGY_INVALID', `operator ${name} (${spec.kind}): ${why}`, {
      details: { operator: name },
      ...(cause === undefined ? {} : { cause }),
    });
  let instance: Partial<OperatorInstance> | undefined;
  try {
    instance = spec.open(config, context);
  } catch (error) {
    throw refusal(`it cannot be opened: ${describe(error)}`, error);
  }
  if (typeof instance?.process !== 'function') throw refusal('what open gives has no process');
  if (hasTimers && instance.onTimer === undefined) {
    throw refusal('it declares timers and has no onTimer');
  }
  return instance as OperatorInstance;
}

function assertWired({ inputs, name }: StageNode, ports: number): void {
  if (inputs.length === ports && inputs.every((edges) => edges.length > 0)) return;
  throw new Error(`operator ${name} has ${ports} inputs, ${inputs.length} are connected`);
}

function process(node: NodeRuntime, port: number, rows: Rows): void {
  const { args, context, instance, name } = node;
  context.beginRows();
  const selectors = args[port] ?? null;
  if (selectors === null && !node.isFirst) {
    instance.process(port, rows, noColumns);
    return;
  }
  const taker = takerName(name, port);
  const own = node.isFirst ? rowsFor(rows, taker, selectors?.length ?? null) : rows;
  if (own.length === 0) return;
  instance.process(port, own, selectors === null ? noColumns : columnsOf(own, selectors, taker));
}

/** Rows of several edges in the order of the events that they come of: as if those came one by one. */
function processMerged(node: NodeRuntime): void {
  const waiting = node.inboxes.filter(({ rows }) => rows !== null);
  const [first, second] = waiting;
  if (first === undefined || first.rows === null) return;
  if (second === undefined) {
    process(node, first.port, first.rows);
    return;
  }
  const isKeyed = waiting.every(({ rows }) => rows?.keys !== null);
  const places = waiting.map(() => 0);
  let gathered = new RowBuffer(isKeyed);
  let port = -1;
  for (;;) {
    const next = nextEdge(waiting, places);
    const inbox = waiting[next];
    if (inbox === undefined || inbox.rows === null) break;
    if (inbox.port !== port && gathered.length > 0) {
      process(node, port, gathered);
      // What was handed on whole may be in use.
      gathered = new RowBuffer(isKeyed);
    }
    port = inbox.port;
    addRow(gathered, inbox.rows, places[next] ?? 0);
    places[next] = (places[next] ?? 0) + 1;
  }
  if (gathered.length > 0) process(node, port, gathered);
}

/** The edge whose next row comes of the earliest event; of several, the first. −1: none has any. */
function nextEdge(waiting: readonly Inbox[], places: readonly number[]): number {
  let next = -1;
  let least = Infinity;
  for (let edge = 0; edge < waiting.length; edge += 1) {
    const rows = waiting[edge]?.rows;
    const place = places[edge] ?? 0;
    if (rows === null || rows === undefined || place >= rows.length) continue;
    const origin = rows.origins[place] ?? -1;
    if (origin >= least) continue;
    least = origin;
    next = edge;
  }
  return next;
}

/** A value that several take is frozen; where it cannot be, each gets a copy of its own. */
function deliver(rows: Rows, takers: readonly Inbox[]): void {
  const [first] = takers;
  if (first === undefined) return;
  first.rows = rows;
  if (takers.length === 1) return;
  let isOpen = false;
  for (let index = 0; index < rows.length; index += 1) {
    if (freezeDeep(rows.values[index])) isOpen = true;
  }
  for (const taker of takers) {
    taker.rows = isOpen && taker !== first ? { ...plainRows(rows), values: copies(rows) } : rows;
  }
}

function plainRows({ keys, length, marks, origins, times }: Rows): Omit<Rows, 'values'> {
  return { length, keys, times, marks, origins };
}

function copies(rows: Rows): unknown[] {
  return Array.from({ length: rows.length }, (_, index) => ownCopy(rows.values[index]));
}
