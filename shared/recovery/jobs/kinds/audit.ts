import { Type, type Static } from 'typebox';
import { listLogs } from '../../../commit-log/log-reader';
import type { LogPath } from '../../../commit-log/names';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../../model/commit';
import type { AppendStore, ObjectStore } from '../../../model/ports';
import type { StagePlan } from '../../../model/program';
import { readTable } from '../../../lake/table-reader';
import type { SurveyedStage } from '../../survey/surveyor';
import type { JobKind } from '../job-kind';
import { tableFolder } from './compact';
import { recountLog, type Discrepancy, type Recount } from './recount-log';

const auditOptions = Type.Object({
  topology: Type.String(),
  /** Also read again from the hubs what the logs say they read. */
  withHub: Type.Boolean(),
});

export type AuditOptions = Static<typeof auditOptions>;

/** A table as it stood when the audit was planned. */
interface TableAtPlan {
  readonly name: string;
  readonly version: number;
  readonly rows: number;
  readonly replacedAt: number | null;
  /** By task (`<topology>/<stage>/<partition>/<epoch>`): the commit up to which it holds its rows. */
  readonly flushedThrough: Readonly<Record<string, number>>;
}

interface AuditPlanSummary {
  readonly topology: string;
  readonly tables: readonly TableAtPlan[];
}

interface AuditWork {
  readonly path: LogPath;
  readonly functionName: string;
  readonly withHub: boolean;
  readonly flushedThrough: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** What was sent may be on its way for so long. */
const underWayMs = 30_000;

/**
 * Recounts a topology: every log by itself, what it read against the hub, rows against the tables,
 * events sent against events taken in. Reads only; it may run while events flow.
 */
export function auditKind(world: {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  readonly stages: readonly SurveyedStage[];
}): JobKind {
  return {
    name: 'audit',
    options: auditOptions,

    async plan(given) {
      const { topology, withHub } = given as AuditOptions;
      const stages = world.stages.filter(({ plan }) => plan.topology === topology);
      // Tables first: whatever is flushed later is not counted on either side.
      const tables: TableAtPlan[] = [];
      for (const { name, format } of stages.flatMap(({ plan }) => plan.tables)) {
        const read = await readTable({ objects: world.lake, folder: tableFolder(name), format });
        const flushedThrough = Object.fromEntries(read.flushedThrough);
        const { replacedAt, rows, version } = read;
        tables.push({ name, version, rows, replacedAt, flushedThrough });
      }
      const paths = await listLogs(world.appends, topology);
      const pieces = paths.flatMap((path) => {
        const place = stages.findIndex(({ plan }) => plan.name === path.stage);
        const plan = stages[place]?.plan;
        if (plan === undefined) return [];
        const work: AuditWork = {
          ...{ path, functionName: plan.functionName, withHub },
          flushedThrough: flushedOf(path, plan, tables),
        };
        // Consumers before their producers: then no more can be taken in than was sent.
        return [{ phase: stages.length - 1 - place, work }];
      });
      return { pieces, summary: { topology, tables } satisfies AuditPlanSummary };
    },

    async run(given, context) {
      const { functionName, ...work } = given as AuditWork;
      const stage = world.stages.find(({ plan }) => plan.functionName === functionName);
      if (stage === undefined) throw new Error(`this build has no stage ${functionName}`);
      return recountLog(world, { ...work, stage, beat: (done, of) => context.beat(done, of) });
    },

    split: () => null,

    async report(_options, { planSummary, results }) {
      const { tables, topology } = planSummary as AuditPlanSummary;
      const recounts = results as readonly Recount[];
      const stages = world.stages
        .filter(({ plan }) => plan.topology === topology)
        .map(({ plan }) => plan);
      const notes: string[] = [];
      const discrepancies: Discrepancy[] = [
        ...recounts.flatMap((recount) => recount.discrepancies),
        ...tables.flatMap((table) => compareTable(table, recounts, notes)),
        ...compareExchanges(stages, recounts, notes),
      ];
      const ledgers: Record<string, LedgerCounts> = {};
      for (const { ledger, path } of recounts) {
        ledgers[path.stage] = addLedgers(ledgers[path.stage] ?? emptyLedger, ledger);
      }
      const summary = {
        ...{ topology, logs: recounts.length, ledgers },
        comparedWithHub: recounts.reduce((sum, recount) => sum + recount.comparedWithHub, 0),
        tables: tables.map(({ name, rows, version }) => ({ name, rows, version })),
        discrepancies: discrepancies.length,
        first: discrepancies.slice(0, 20),
        notes: notes.slice(0, 20),
      };
      return { summary, isRight: discrepancies.length === 0 };
    },
  };
}

function flushedOf(
  path: LogPath,
  plan: StagePlan,
  tables: readonly TableAtPlan[],
): Record<string, Record<string, number>> {
  const prefix = `${path.topology}/${path.stage}/${path.partition}/`;
  const found: Record<string, Record<string, number>> = {};
  for (const { name } of plan.tables) {
    const through = tables.find((table) => table.name === name)?.flushedThrough ?? {};
    found[name] = Object.fromEntries(
      Object.entries(through)
        .filter(([task]) => task.startsWith(prefix))
        .map(([task, commit]) => [task.slice(prefix.length), commit]),
    );
  }
  return found;
}

/** Rows that logs say are in the table against rows that are. */
function compareTable(
  table: TableAtPlan,
  recounts: readonly Recount[],
  notes: string[],
): Discrepancy[] {
  const own = recounts.filter(({ flushedRows }) => flushedRows[table.name] !== undefined);
  if (table.replacedAt !== null) {
    notes.push(`${table.name}: a backfill replaced it in version ${table.replacedAt}`);
    return [];
  }
  if (own.some((recount) => !isWhole(recount, recounts))) {
    notes.push(`${table.name}: the oldest commits are past their retention, rows are not compared`);
    return [];
  }
  const known = new Set(
    own.map(({ epoch, path }) => `${path.topology}/${path.stage}/${path.partition}/${epoch}`),
  );
  const strangers = Object.keys(table.flushedThrough).filter((task) => !known.has(task));
  if (strangers.length > 0) {
    notes.push(
      `${table.name}: holds rows of ${strangers[0]}, whose log is gone; rows are not compared`,
    );
    return [];
  }
  const rows = own.reduce((sum, { flushedRows }) => sum + (flushedRows[table.name] ?? 0), 0);
  if (rows === table.rows) return [];
  const what = `version ${table.version} holds ${table.rows} rows, the logs flushed ${rows} into it`;
  return [{ where: `table ${table.name}`, what }];
}

/** True when the logs of all lives of the task together reach back to its first commit. */
function isWhole(recount: Recount, all: readonly Recount[]): boolean {
  const { firstCommit, path } = recount;
  if (firstCommit <= 1) return true;
  return all.some(
    (other) =>
      other.path.stage === path.stage &&
      other.path.partition === path.partition &&
      other.path.incarnation < path.incarnation &&
      other.lastCommit === firstCommit - 1,
  );
}

/** Events sent over each exchange against events taken in from it. */
function compareExchanges(
  stages: readonly StagePlan[],
  recounts: readonly Recount[],
  notes: string[],
): Discrepancy[] {
  const found: Discrepancy[] = [];
  const newest = (stage: string, partition: string): Recount | undefined =>
    recounts
      .filter(({ path }) => path.stage === stage && path.partition === partition)
      .sort((left, right) => (left.path.incarnation < right.path.incarnation ? 1 : -1))[0];
  for (const producer of recounts) {
    const { partition, stage } = producer.path;
    if (newest(stage, partition) !== producer) continue;
    for (const [target, sent] of Object.entries(producer.sent)) {
      const slash = target.lastIndexOf('/');
      const consumerStage = stages.find(({ input }) => input.hub === target.slice(0, slash));
      if (consumerStage === undefined) continue;
      const consumer = newest(consumerStage.name, target.slice(slash + 1));
      const taken = consumer?.taken[`${stage}/${partition}`] ?? 0;
      const where = `exchange ${target} from ${stage}/${partition}`;
      if (taken > sent) found.push({ where, what: `${taken} events were taken in, ${sent} sent` });
      if (taken >= sent) continue;
      const readAtMs = consumer?.recountedAtMs ?? 0;
      const isOld = producer.lastOutboxAtMs < readAtMs - underWayMs;
      const what = `${sent} events were sent, ${taken} taken in`;
      if (isOld && (consumer?.lag ?? 1) === 0) found.push({ where, what });
      else notes.push(`${where}: ${what}: ${sent - taken} are under way`);
    }
  }
  return found;
}
