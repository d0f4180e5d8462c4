import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import type { GraphNode, LatePolicy, Topology } from '../dataflow/graph';
import type { QuietPolicy } from '../time/source-time';
import { planTopology, type Plan } from './plan';
import type { Fit } from './tiers';

const lateTexts: Readonly<Record<LatePolicy, string>> = {
  drop: 'later ones are counted as late and dropped',
  clamp: 'later ones count in the first window that is still open',
  sideOutput: 'later ones go to the output for late ones',
};

/**
 * The plan as text: each stage with what it reads, how it keeps time, what it runs and writes, and what
 * is promised of that, in the data's order; then hubs, and what of the tier's limits is used.
 * `topologies`: those that were planned.
 */
export function explain(plan: Plan, topologies: readonly Topology[], fit: Fit): string {
  const nodes = nodesByStage(topologies);
  const lines: string[] = [];
  for (const stage of plan.stages) {
    const hub = plan.hubs.find(({ name }) => name === stage.input.hub);
    lines.push(
      `stage ${stage.topology}/${stage.name}   function ${stage.functionName}, one task per partition`,
      `  reads     ${stage.input.kind} hub ${stage.input.hub} (${hub?.partitionCount ?? '?'} partitions), consumer group ${stage.consumerGroup}`,
      ...producerLines(stage),
      ...(nodes.get(stage.functionName) ?? []).flatMap(timeLines),
      `  runs      ${stage.operators.join(' → ')}`,
    );
    for (const table of stage.tables) {
      const folders = table.partitionBy.length > 0 ? `, by ${table.partitionBy.join('/')}` : '';
      lines.push(
        `  writes    table ${table.name} (${table.format}${folders})`,
        `            ${flushText(table)}`,
      );
    }
    for (const exchange of stage.exchanges) {
      lines.push(`  exchanges through hub ${exchange.hub}, by key`);
    }
    lines.push(
      '  promises  every event read has exactly one end: emitted, filtered, late or a dead letter',
      ...(stage.tables.length > 0
        ? ["            rows are in a table exactly once, for readers of the table's log"]
        : []),
      ...(stage.exchanges.length > 0
        ? ['            events reach the next stage at least once, and count there exactly once']
        : []),
      '',
    );
  }
  return [...lines, ...hubLines(plan), ...fitLines(fit)].join('\n');
}

function producerLines({ input }: StagePlan): string[] {
  if (input.kind === 'source') return [];
  const from = input.producers.map(({ port, stage }) => `${stage} (port ${port})`);
  return [`  from      ${from.join(', ')}`];
}

function hubLines({ hubs }: Plan): string[] {
  return hubs.flatMap(({ consumerGroups, kind, name, partitionCount }) => [
    `hub ${name}   ${kind}, ${partitionCount} partitions, ${consumerGroups.length} consumer groups: ${consumerGroups.join(', ')}`,
  ]);
}

function fitLines({ exceeded, lines, tier }: Fit): string[] {
  return [
    '',
    `tier ${tier}`,
    ...lines.map((line) => `  ${line}`),
    ...exceeded.map((line) => `  TOO MANY ${line}`),
    '',
  ];
}

function nodesByStage(topologies: readonly Topology[]): Map<string, readonly GraphNode[]> {
  return new Map(
    topologies.flatMap((topology) =>
      planTopology(topology).map(({ inside, plan, roots }) => [
        plan.functionName,
        [...roots, ...inside],
      ]),
    ),
  );
}

function timeLines(node: GraphNode): string[] {
  if (node.kind === 'source') {
    return [
      `  time      of the event; up to ${duration(node.outOfOrdernessMs)} out of order; ${earlyTexts[node.early.policy]} from ${duration(node.early.limitMs)} ahead of when it was enqueued`,
      `  quiet     ${quietText(node.quiet)}`,
    ];
  }
  if (node.kind !== 'window') return [];
  return [
    `  window    ${node.name}: tumbling, ${duration(node.sizeMs)}; waits ${duration(node.graceMs)} past its end, ${lateTexts[node.late]}`,
  ];
}

const earlyTexts = { deadLetter: 'a dead letter', clamp: 'clamped' } as const;

function quietText(quiet: QuietPolicy | null): string {
  if (quiet === null) return 'the last windows wait for the next event, or for a drain';
  const { afterMs, maxDelayMs } = quiet;
  return `after ${duration(afterMs)} without input wall clock closes windows; ${duration(maxDelayMs)} after it happened an event is behind`;
}

/** Settings of the app may say something else: MILLRACE_FLUSH_ROWS_MAX, MILLRACE_FLUSH_AGE_MAX_MS. */
function flushText({ flush }: TablePlan): string {
  const mebibytes = flush.bytesMax / 1024 ** 2;
  return `a file at ${flush.rowsMax.toLocaleString('en')} rows, ${mebibytes.toLocaleString('en')} MiB or ${duration(flush.ageMaxMs)}, whichever comes first`;
}

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

function duration(milliseconds: number): string {
  const [name, size] = units.find(([, unit]) => milliseconds > 0 && milliseconds % unit === 0) ?? [
    'ms',
    1,
  ];
  return `${milliseconds / size} ${name}`;
}

/** The plan in the form of the official Event Hubs emulator's Config.json. */
export function emulatorConfig(plan: Plan): unknown {
  return {
    UserConfig: {
      NamespaceConfig: [
        {
          Type: 'EventHub',
          Name: 'emulatorNs1',
          Entities: plan.hubs.map((hub) => ({
            Name: hub.name,
            PartitionCount: hub.partitionCount,
            ConsumerGroups: hub.consumerGroups.map((name) => ({ Name: name })),
          })),
        },
      ],
      LoggingConfig: { Type: 'Console' },
    },
  };
}
