import type { Static, TObject } from 'typebox';
import { GraphBuilder } from './builder';
import { days } from './duration';
import { allConsumersOf, kindOf, type GraphNode, type Topology } from './graph';
import { notePlace, unsound } from './places';
import { Stream } from './stream';
import { faultInAggregate } from '../operators/aggregates';
import { faultsInDurations } from '../operators/durations';
import type { DeepReadonly } from './value-types';

export interface SourceOptions<Schema extends TObject> {
  /** What an event must look like; one that does not is dead-lettered. */
  readonly schema: Schema;
  /** When the event happened, in epoch milliseconds. */
  readonly eventTime: (event: DeepReadonly<Static<Schema>>) => number;
  /** How far behind the latest event others may come, in milliseconds. Default 0. */
  readonly outOfOrderness?: number;
  /** An event dated too far after it was enqueued: one wrong clock must not make all others late. */
  readonly early?: {
    /** Further than this after it was enqueued an event is too early, in milliseconds. Default one day. */
    readonly limit?: number;
    /**
     * `deadLetter` (default): it is a dead letter. `clamp`: it is taken for one of its enqueued time + limit.
     * It moves no time either way.
     */
    readonly policy?: 'deadLetter' | 'clamp';
  };
  /**
   * Lets wall clock close windows where input has ceased. Without it the last windows wait for the next event
   * or for a drain. A replay of history must not set it: all of it would be late.
   */
  readonly quiet?: {
    /** Without input for this long time goes on by wall clock, in milliseconds. */
    readonly after: number;
    /** An event that is enqueued later than this after it happened is behind time, in milliseconds. */
    readonly maxDelay: number;
  };
}

/** What a topology is defined with. */
export class TopologyBuilder {
  readonly #graph: GraphBuilder;

  constructor(graph: GraphBuilder) {
    this.#graph = graph;
  }

  /** Reads a hub. Its name is the hub's name. Its events are readonly: others may be given them too. */
  source<Schema extends TObject>(
    name: string,
    options: SourceOptions<Schema>,
  ): Stream<DeepReadonly<Static<Schema>>> {
    const { early, eventTime, outOfOrderness, quiet, schema } = options;
    const id = this.#graph.add(
      {
        kind: 'source',
        schema,
        eventTime: eventTime,
        outOfOrdernessMs: outOfOrderness ?? 0,
        early: { limitMs: early?.limit ?? days(1), policy: early?.policy ?? 'deadLetter' },
        quiet: quiet === undefined ? null : { afterMs: quiet.after, maxDelayMs: quiet.maxDelay },
      },
      name,
    );
    return new Stream(this.#graph, [{ from: id, output: 0 }]);
  }
}

export interface TopologyOptions {
  readonly deadLetters?: {
    /** Times one event may be tried, the first included, before redrive leaves it. Default 5. */
    readonly maxAttempts?: number;
    /** Older dead letters are left by redrive, in milliseconds. Default 7 days. */
    readonly maxAge?: number;
  };
}

/**
 * Defines a dataflow.
 * @throws StreamError STREAM_TOPOLOGY_INVALID with every fault found
 */
export function topology(
  name: string,
  define: (t: TopologyBuilder) => void,
  options: TopologyOptions = {},
): Topology {
  const graph = new GraphBuilder();
  graph.checkName('topology', name);
  define(new TopologyBuilder(graph));
  const { maxAge = days(7), maxAttempts = 5 } = options.deadLetters ?? {};
  if (!(Number.isInteger(maxAttempts) && maxAttempts >= 1)) {
    graph.fault('deadLetters.maxAttempts must be a whole number from 1');
  }
  if (!(maxAge > 0)) graph.fault('deadLetters.maxAge must be more than 0 ms');
  const defined = graph.finish(name, { attemptsMax: maxAttempts, ageMaxMs: maxAge });
  notePlace(defined);
  for (const [text, part] of faultsIn(defined)) graph.fault(text, part);
  if (graph.faults.length > 0) {
    // A collision has two places and one text.
    const faults = Array.from(new Set(graph.faults.map(({ text }) => text)));
    throw unsound(`topology ${name}: ${faults.join('; ')}`, graph.faults, {
      topology: name,
      faults,
    });
  }
  return defined;
}

/** Each with the part that it is in. */
function* faultsIn(defined: Topology): Generator<readonly [string, object]> {
  if (!defined.nodes.some(({ kind }) => kind === 'source')) yield ['it has no source', defined];
  for (const node of defined.nodes) {
    if (node.kind !== 'toLake' && allConsumersOf(defined, node.id).length === 0) {
      yield [`nothing takes what ${kindOf(node)} ${node.name} gives out: end it with toLake`, node];
    }
    for (const fault of faultsOf(node)) yield [fault, node];
  }
}

function* faultsOf(node: GraphNode): Generator<string> {
  if (node.kind === 'operator') {
    const { config, spec } = node.operator;
    for (const fault of spec.faultsIn?.(config) ?? []) {
      yield `${kindOf(node)} ${node.name}: ${fault}`;
    }
  }
  if (node.kind === 'window') {
    for (const fault of [
      ...faultsInDurations({ size: node.sizeMs }, 1),
      ...faultsInDurations({ grace: node.graceMs }),
    ]) {
      yield `window ${node.name}: ${fault}`;
    }
    for (const [name, aggregate] of node.aggregates) {
      const fault = faultInAggregate(aggregate);
      if (fault !== null) yield `window ${node.name}: aggregate ${name}: ${fault}`;
    }
    for (const reserved of ['key', 'windowStart', 'windowEnd']) {
      if (node.aggregates.some(([name]) => name === reserved)) {
        yield `window ${node.name}: an aggregate may not be called ${reserved}`;
      }
    }
  }
  if (node.kind === 'source') {
    const whole = {
      outOfOrderness: node.outOfOrdernessMs,
      ...(node.quiet !== null && { 'quiet.maxDelay': node.quiet.maxDelayMs }),
    };
    for (const fault of faultsInDurations(whole)) yield `source ${node.name}: ${fault}`;
    const durations = {
      'early.limit': node.early.limitMs,
      'quiet.after': node.quiet?.afterMs ?? 0,
    };
    for (const [name, milliseconds] of Object.entries(durations)) {
      if (!(milliseconds >= 0)) yield `source ${node.name}: ${name} must not be negative`;
    }
    if (node.early.policy !== 'deadLetter' && node.early.policy !== 'clamp') {
      yield `source ${node.name}: early.policy must be 'deadLetter' or 'clamp'`;
    }
  }
}
