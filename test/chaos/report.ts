/** What a chaos run came to: whether it was right, and how long what was hurt stood still. */
import type { TableComparison } from '../../cli/oracle/flights-oracle';
import { openStore } from '../../cli/store';
import { isBalanced, totalsByStage } from '../../shared/ledger/ledger-reader';
import type { LedgerCounts } from '../../shared/model/commit';
import type { Cluster } from '../support/cluster';
import type { LoadedTopology } from './load/open-loads';
import type { ExpectedEnds } from './load/workload';
import type { CommitWatch } from './measure/commit-watch';
import { recoveriesOf, spreadOf, type Disturbance, type Spread } from './measure/recoveries';
import { readDeliveries, redeliveriesOf, type Redeliveries } from './measure/redeliveries';
import { leaseMs, type ChaosOptions } from './options';
import { scheduleOf } from './schedule';

export interface TopologyReport {
  readonly topology: string;
  readonly sent: number;
  readonly expected: ExpectedEnds;
  readonly stages: readonly (LedgerCounts & { readonly stage: string })[];
  readonly tables: readonly TableComparison[];
  readonly deadLetters: Readonly<Record<string, number>>;
  /** How often a source without input was taken for idle: what it brings then may be late. */
  readonly idleTicks: number;
}

export interface RecoveryReport {
  readonly kind: string;
  readonly times: number;
  /** Milliseconds, over all tasks that it stopped. */
  readonly all: Spread | null;
  /** Only where nothing else struck before the task was back. */
  readonly alone: Spread | null;
  /** How many of those are within the lease and two seconds. */
  readonly aloneWithinBound: number;
}

export interface ChaosReport {
  readonly seed: number;
  readonly isRight: boolean;
  readonly problems: readonly string[];
  readonly tookMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly topologies: readonly TopologyReport[];
  /** Deaths and freezings of workers together, then each kind. */
  readonly workerRecovery: RecoveryReport;
  readonly recoveries: readonly RecoveryReport[];
  readonly redeliveries: Omit<Redeliveries, 'reprocessedPerFailure'> & {
    readonly reprocessedPerFailure: Spread | null;
  };
  readonly attempts: number;
  readonly gaps: number;
}

export interface Measured {
  readonly cluster: Cluster;
  readonly watch: CommitWatch;
  readonly problems: readonly string[];
  readonly loaded: readonly LoadedTopology[];
  readonly options: ChaosOptions;
  readonly disturbances: readonly Disturbance[];
  readonly recreatedAtMs: ReadonlyMap<string, readonly number[]>;
  readonly workerFolder: string;
  readonly workDirectory: string;
  readonly tookMs: number;
}

export async function reportOf(measured: Measured): Promise<ChaosReport> {
  const { disturbances, options, tookMs, watch } = measured;
  const topologies: TopologyReport[] = [];
  const problems = [...measured.problems];
  for (const one of measured.loaded) {
    const report = await topologyReport(measured, one);
    topologies.push(report);
    problems.push(...problemsOf(report), ...(await ledgerProblems(measured, report)));
  }
  const tasks = Array.from(watch.tasks.values());
  const { reprocessedPerFailure, ...redeliveries } = redeliveriesOf({
    ...{ tasks, disturbances, recreatedAtMs: measured.recreatedAtMs },
    deliveries: readDeliveries(measured.workerFolder),
  });
  const faults: Record<string, number> = {};
  const { forMs, gapMs, kinds: names, seed } = options;
  for (const { kind } of scheduleOf({ seed, forMs, gapMs, names })) {
    faults[kind.name] = (faults[kind.name] ?? 0) + 1;
  }
  return {
    ...{ seed, problems, tookMs, faults, topologies },
    isRight: problems.length === 0,
    ...recoveryReports(measured),
    redeliveries: { ...redeliveries, reprocessedPerFailure: spreadOf(reprocessedPerFailure) },
    attempts: tasks.reduce((total, { attempts }) => total + attempts, 0),
    gaps: tasks.reduce((total, { gaps }) => total + gaps, 0),
  };
}

async function topologyReport(
  { cluster, watch, workDirectory }: Measured,
  { load, workload }: LoadedTopology,
): Promise<TopologyReport> {
  const connectionString = cluster.storageConnectionString;
  const { lake } = openStore(connectionString);
  const finished = { connectionString, lake, load, workDirectory, plan: cluster.plan };
  const { topology } = workload;
  const stages = cluster.plan.stages
    .filter((stage) => stage.topology === topology)
    .map(({ name }) => ({ stage: name, ...watch.ledgerOf(topology, name) }));
  const deadLetters: Record<string, number> = {};
  for (const { code } of watch.tasksOf(topology).flatMap((task) => task.deadLetters)) {
    deadLetters[code] = (deadLetters[code] ?? 0) + 1;
  }
  return {
    ...{ topology, stages, deadLetters },
    sent: load.sent,
    idleTicks: watch.tasksOf(topology).reduce((total, task) => total + task.idleTicks, 0),
    expected: await workload.ends(finished),
    tables: await workload.compare(finished),
  };
}

function problemsOf({ expected, stages, tables, topology }: TopologyReport): string[] {
  const problems: string[] = [];
  for (const { expected: rows, extra, found, missing, sample, table } of tables) {
    if (missing + extra === 0) continue;
    problems.push(
      `table ${table}: ${found} rows, ${rows} expected; ${missing} missing, ${extra} that should not be there, such as ${JSON.stringify(sample)}`,
    );
  }
  const [source, ...later] = stages;
  const told = (what: string, counted: number, wanted: number): void => {
    if (counted !== wanted) {
      problems.push(`ledger of ${topology}: ${what} is ${counted}, and ${wanted} by the oracle`);
    }
  };
  told('read', source?.read ?? 0, expected.read);
  told('filtered', source?.filtered ?? 0, expected.filtered);
  told('dead-lettered', source?.deadLettered ?? 0, expected.deadLettered);
  told('emitted', source?.emitted ?? 0, expected.emitted);
  for (const stage of later) {
    told(`read by ${stage.stage}`, stage.read, expected.emitted);
    told(`late in ${stage.stage}`, stage.late, expected.late);
  }
  for (const { stage, ...ledger } of stages) {
    if (!isBalanced(ledger)) {
      problems.push(`ledger of ${topology}/${stage} does not balance: ${JSON.stringify(ledger)}`);
    }
  }
  return problems;
}

/** The engine's own account of itself must be what its records add up to. */
async function ledgerProblems(
  { cluster }: Measured,
  { stages, topology }: TopologyReport,
): Promise<string[]> {
  const store = openStore(cluster.storageConnectionString);
  const totals = totalsByStage(await store.ledger(topology).refresh());
  return stages
    .filter(({ read, stage }) => totals.get(stage)?.read !== read)
    .map(
      ({ read, stage }) =>
        `${topology}/${stage}: records add up to ${read} events, the ledger's reader says ${totals.get(stage)?.read}`,
    );
}

function recoveryReports({
  disturbances,
  watch,
}: Measured): Pick<ChaosReport, 'workerRecovery' | 'recoveries'> {
  const all = recoveriesOf(disturbances, watch.tasks.values(), watch.hubEnds);
  const reportOn = (kind: string, isMeant: (one: Disturbance) => boolean): RecoveryReport => {
    const meant = all.filter(({ disturbance }) => isMeant(disturbance));
    const alone = meant.filter(({ isAlone }) => isAlone).map(({ tookMs }) => tookMs);
    return {
      kind,
      times: disturbances.filter(isMeant).length,
      all: spreadOf(meant.map(({ tookMs }) => tookMs)),
      alone: spreadOf(alone),
      aloneWithinBound: alone.filter((tookMs) => tookMs <= leaseMs + 2_000).length,
    };
  };
  return {
    workerRecovery: reportOn('all faults of workers', ({ pid }) => pid !== null),
    recoveries: [...new Set(disturbances.map(({ kind }) => kind))]
      .sort()
      .map((kind) => reportOn(kind, (one) => one.kind === kind)),
  };
}
