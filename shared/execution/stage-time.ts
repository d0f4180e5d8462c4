import type { Dataflow, NodeRuntime } from './dataflow';
import { endOfTimeMs } from '../time/exchange-time';
import type { StageGraph } from './stage-graph';

interface PlacedEdge {
  readonly from: number;
  readonly output: number;
}

/**
 * How time stands in a stage. Each node's time is the least of what feeds it; what a node gives out is held
 * back to what it may still give out. Timers fire as if the stage's time went up by single milliseconds:
 * a jump gives what two steps would have given, in the same order.
 */
export class StageTime {
  readonly #dataflow: Dataflow;
  readonly #edges: readonly (readonly PlacedEdge[])[];
  readonly #timed: readonly NodeRuntime[];
  /** By place: the nodes before it that have timers. */
  readonly #timedBefore: readonly (readonly NodeRuntime[])[];
  /** By place: nothing before it holds time back. */
  readonly #isDirect: readonly boolean[];
  readonly #outputTimes: number[][];
  /** What timers have fired up to; ahead of it is `targetMs`, while results are due. */
  stepMs = -Infinity;
  targetMs = -Infinity;

  constructor(graph: StageGraph, dataflow: Dataflow) {
    this.#dataflow = dataflow;
    this.#edges = graph.nodes.map(({ inputs }) => inputs.flat());
    this.#timed = dataflow.nodes.filter(({ hasTimers }) => hasTimers);
    this.#outputTimes = dataflow.nodes.map(({ outputs }) => outputs.map(() => -Infinity));
    const before: Set<NodeRuntime>[] = [];
    const direct: boolean[] = [];
    for (const [place, edges] of this.#edges.entries()) {
      const timed = new Set<NodeRuntime>();
      let isDirect = true;
      for (const { from } of edges) {
        const node = dataflow.nodes[from];
        if (node === undefined) continue;
        for (const one of before[from] ?? []) timed.add(one);
        if (node.hasTimers) timed.add(node);
        if (holds(node) || direct[from] === false) isDirect = false;
      }
      before[place] = timed;
      direct[place] = isDirect;
    }
    this.#timedBefore = before.map((set) => Array.from(set));
    this.#isDirect = direct;
  }

  get hasTimers(): boolean {
    return this.#timed.length > 0;
  }

  /** Of all operators; Infinity: there is none. */
  get earliestTimerMs(): number {
    return Math.min(Infinity, ...this.#timed.map(({ context }) => context.earliestTimerMs));
  }

  /** Sets the time of every node for a time of the stage's input. */
  #set(timeMs: number): void {
    const { nodes } = this.#dataflow;
    for (let place = 0; place < nodes.length; place += 1) {
      const node = nodes[place];
      const edges = this.#edges[place];
      if (node === undefined || edges === undefined) continue;
      let least = Infinity;
      for (const { from, output } of edges) {
        const time = from < 0 ? timeMs : (this.#outputTimes[from]?.[output] ?? timeMs);
        if (time < least) least = time;
      }
      node.context.watermarkMs = least;
      const times = this.#outputTimes[place];
      if (times === undefined) continue;
      for (let output = 0; output < times.length; output += 1) {
        times[output] = outputTime(node, output, least);
      }
    }
  }

  /** Before rows are run: every node's time is what its timers have fired up to. */
  prepare(): void {
    this.#set(this.stepMs);
  }

  /** The node whose timer fires next, its time being set; null: none is due. */
  next(): NodeRuntime | null {
    for (;;) {
      this.#set(this.stepMs);
      let next: NodeRuntime | null = null;
      let earliestMs = Infinity;
      for (const node of this.#timed) {
        const { earliestTimerMs, watermarkMs } = node.context;
        if (earliestTimerMs > watermarkMs || earliestTimerMs >= earliestMs) continue;
        next = node;
        earliestMs = earliestTimerMs;
      }
      if (next !== null || this.stepMs >= this.targetMs) return next;
      this.stepMs = Math.min(this.targetMs, this.nextLevel(this.targetMs));
    }
  }

  /** The least time of the stage's input, up to one, at which a timer is due; Infinity: none is. */
  nextLevel(throughMs: number): number {
    let least = Infinity;
    for (const node of this.#timed) {
      const { earliestTimerMs } = node.context;
      if (earliestTimerMs > throughMs || earliestTimerMs >= least) continue;
      const level = this.#isDirect[node.place]
        ? earliestTimerMs
        : this.#levelOf(node, earliestTimerMs, throughMs);
      if (level < least) least = level;
    }
    return least;
  }

  /** The least time of the input at which a node that is held back reaches a time. */
  #levelOf(node: NodeRuntime, wantedMs: number, throughMs: number): number {
    const isReachedAt = (timeMs: number): boolean => {
      this.#set(timeMs);
      return node.context.watermarkMs >= wantedMs;
    };
    if (!isReachedAt(throughMs)) return Infinity;
    let low = wantedMs - 1;
    let high = throughMs;
    // Mostly a node is behind by the same, whatever the time.
    const guess = wantedMs + (throughMs - node.context.watermarkMs);
    if (guess < high && guess > low && isReachedAt(guess)) high = guess;
    if (guess - 1 > low && guess - 1 < high && !isReachedAt(guess - 1)) low = guess - 1;
    while (high - low > 1) {
      const middle = low + Math.floor((high - low) / 2);
      if (isReachedAt(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  get isDue(): boolean {
    return this.hasTimers && this.next() !== null;
  }

  /** The time of what a node takes in, as consumers elsewhere may know it. */
  timeOf(place: number): number {
    this.#set(this.targetMs);
    return this.#dataflow.nodes[place]?.context.watermarkMs ?? -Infinity;
  }

  /** Something is open before a node: it will be given more although no input comes. */
  isAwaited(place: number): boolean {
    return (this.#timedBefore[place] ?? []).some((node) => node.context.earliestTimerMs < Infinity);
  }
}

/** What a node gives out may be older than what it takes in. */
function holds(node: NodeRuntime): boolean {
  return node.hasTimers || node.instance.hold !== undefined;
}

function outputTime(node: NodeRuntime, output: number, inputMs: number): number {
  if (!holds(node)) return inputMs;
  const { earliestTimerMs } = node.context;
  // No event is to come and nothing is open: nothing is held back for ever.
  if (inputMs >= endOfTimeMs && earliestTimerMs === Infinity) return inputMs;
  const heldMs = node.instance.hold === undefined ? earliestTimerMs : node.instance.hold(output);
  return heldMs < inputMs ? heldMs : inputMs;
}
