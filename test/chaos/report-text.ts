import type { ChaosReport, RecoveryReport, TopologyReport } from './report';
import { leaseMs } from './options';
import type { Spread } from './measure/recoveries';

const seconds = (milliseconds: number): string => (milliseconds / 1_000).toFixed(1);

/** The report for people. */
export function describeReport(report: ChaosReport): string {
  const { attempts, faults, gaps, problems, recoveries, redeliveries, workerRecovery } = report;
  const { absorbed, delivered, reprocessed, reprocessedPerFailure: perFailure } = redeliveries;
  const struck = Object.entries(faults).sort(([left], [right]) => left.localeCompare(right));
  const total = struck.reduce((sum, [, times]) => sum + times, 0);
  return [
    ...report.topologies.flatMap(describeTopology),
    `faults: ${total}: ${struck.map(([kind, times]) => `${kind} ${times}`).join(', ')}`,
    `time to the next commit of a stopped task, in seconds (bound: lease ${seconds(leaseMs)} + 2.0):`,
    ...[workerRecovery, ...recoveries].map(describeRecovery),
    `messages that triggers handed over: ${delivered}; again and dropped: ${absorbed}; again and processed anew: ${reprocessed}`,
    `messages processed anew per failure: ${perFailure === null ? 'none' : `P50 ${perFailure.p50}, P99 ${perFailure.p99}, most ${perFailure.max} (${perFailure.count} failures)`}`,
    `attempts recorded: ${attempts}; gaps declared: ${gaps}`,
    ...problems.map((problem) => `WRONG: ${problem}`),
    `seed ${report.seed}, ${seconds(report.tookMs)} s: ${report.isRight ? 'right' : 'WRONG'}`,
  ].join('\n');
}

function describeTopology({
  deadLetters,
  expected,
  idleTicks,
  sent,
  stages,
  tables,
  topology,
}: TopologyReport): string[] {
  const letters = Object.entries(deadLetters).map(([code, times]) => `${code} ${times}`);
  return [
    `${topology}: ${sent} sent; idle ${idleTicks} times; expected ${JSON.stringify(expected)}`,
    ...stages.map(
      ({ deadLettered, emitted, filtered, gap, late, read, stage }) =>
        `  ${stage}: read ${read} = emitted ${emitted} + filtered ${filtered} + late ${late} + dead-lettered ${deadLettered}; gap ${gap}`,
    ),
    ...(letters.length > 0 ? [`  dead letters: ${letters.join(', ')}`] : []),
    ...tables.map(
      ({ expected: rows, extra, found, missing, table }) =>
        `  table ${table}: ${found} rows, ${rows} expected: ${missing + extra === 0 ? 'equal' : 'DIFFERENT'}`,
    ),
  ];
}

function describeRecovery({ all, alone, aloneWithinBound, kind, times }: RecoveryReport): string {
  const within = alone === null ? '' : `, ${aloneWithinBound} of them within the bound`;
  return `  ${kind} (${times}): ${describeSpread(all)}; nothing else meanwhile: ${describeSpread(alone)}${within}`;
}

function describeSpread(spread: Spread | null): string {
  if (spread === null) return 'no task';
  const { count, max, p50, p99 } = spread;
  return `P50 ${seconds(p50)}, P99 ${seconds(p99)}, max ${seconds(max)} (${count} tasks)`;
}
