import { Type, type Static } from 'typebox';
import { listLogs } from '../../../commit-log/log-reader';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../../model/commit';
import type { AppendStore, Clock, ObjectStore } from '../../../model/ports';
import type { StagePlan } from '../../../model/program';
import { endedTaskVersion } from '../../../lake/lake-table';
import { taskIdOf, taskIdPrefix } from '../../../task/task-identity';
import type { SurveyedStage } from '../../../supervision/survey/surveyor';
import type { JobKind } from '../job-kind';
import { inspectTable, type TableFacts, type TableFlushes } from './audit-table';
import { tableOf } from './compact';
import { recountLog, type Discrepancy, type Recount, type TableOfTask } from './recount-log';
import type { TaskAddress } from '../../../model/task-address';

const auditOptions = Type.Object({
  topology: Type.String(),
  /** Also read again from the hubs what the logs say they read. */
  withHub: Type.Boolean(),
});

export type AuditOptions = Static<typeof auditOptions>;

interface AuditPlanSummary {
  readonly topology: string;
}

type AuditWork =
  | { readonly kind: 'table'; readonly table: string }
  | {
      readonly kind: 'log';
      readonly path: TaskAddress;
      readonly functionName: string;
      readonly withHub: boolean;
    };

/** What was sent may be on its way for so long. */
const underWayMs = 30_000;

/**
 * Recounts a topology: every table by itself, from its own log to its files; every log by itself, what
 * it read against the hub, its rows against those that the tables say they took in, events sent against
 * events taken in. Reads only; it may run while events flow.
 */
export function auditKind(world: {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  readonly clock: Clock;
  readonly stages: readonly SurveyedStage[];
}): JobKind {
  return {
    name: 'audit',
    options: auditOptions,

    async plan(given) {
      const { topology, withHub } = given as AuditOptions;
      const stages = world.stages.filter(({ plan }) => plan.topology === topology);
      // Tables first: whatever is flushed later is not counted on either side.
      const tables = stages.flatMap(({ plan }) => plan.tables);
      const pieces: { phase: number; work: AuditWork }[] = tables.map(({ name }) => ({
        phase: 0,
        work: { kind: 'table', table: name },
      }));
      for (const path of await listLogs(world.appends, topology)) {
        const place = stages.findIndex(({ plan }) => plan.name === path.stage);
        const plan = stages[place]?.plan;
        if (plan === undefined) continue;
        const { functionName } = plan;
        // Consumers before their producers: then no more can be taken in than was sent.
        const phase = stages.length - place;
        pieces.push({ phase, work: { kind: 'log', path, functionName, withHub } });
      }
      return { pieces, summary: { topology } satisfies AuditPlanSummary };
    },

    async run(given, context) {
      const work = given as AuditWork;
      const beat = (done: number, of: number): Promise<void> => context.beat(done, of);
      if (work.kind === 'table') {
        const plan = tableOf(
          world.stages.flatMap((stage) => stage.plan.tables),
          work.table,
        );
        const { facts, flushes } = await inspectTable({
          lake: world.lake,
          plan,
          clock: world.clock,
          beat,
        });
        const bytes = Buffer.from(JSON.stringify({ facts, flushes } satisfies InspectedTable));
        await world.objects.put(inspectedName(context.folder, work.table), bytes);
        return facts;
      }
      const { functionName, path, withHub } = work;
      const stage = world.stages.find(({ plan }) => plan.functionName === functionName);
      if (stage === undefined) throw new Error(`this build has no stage ${functionName}`);
      const tables: Record<string, TableOfTask> = {};
      for (const { name } of stage.plan.tables) {
        const bytes = await world.objects.get(inspectedName(context.folder, name));
        // Its piece has failed, and the report says so.
        if (bytes === undefined) continue;
        const inspected = JSON.parse(Buffer.from(bytes).toString('utf8')) as InspectedTable;
        tables[name] = tableOfTask(path, inspected);
      }
      return recountLog(world, { path, stage, withHub, tables, beat });
    },

    split: () => null,

    async report(_options, { planSummary, results }) {
      const { topology } = planSummary as AuditPlanSummary;
      const all = results as readonly (Recount | TableFacts)[];
      const recounts = all.filter((result) => result.kind === 'log');
      const tables = all.filter((result) => result.kind === 'table');
      const stages = world.stages
        .filter(({ plan }) => plan.topology === topology)
        .map(({ plan }) => plan);
      const notes: string[] = tables.flatMap((table) => table.notes);
      const discrepancies: Discrepancy[] = [
        ...all.flatMap((result) => result.discrepancies),
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
        tables: tables.map(({ files, name, rows, version }) => ({ name, rows, version, files })),
        discrepancies: discrepancies.length,
        first: discrepancies.slice(0, 20),
        notes: notes.slice(0, 20),
      };
      return { summary, isRight: discrepancies.length === 0 };
    },
  };
}

interface InspectedTable {
  readonly facts: TableFacts;
  readonly flushes: TableFlushes;
}

function inspectedName(folder: string, table: string): string {
  return `${folder}table-${table}.json`;
}

function tableOfTask(path: TaskAddress, { facts, flushes }: InspectedTable): TableOfTask {
  const prefix = taskIdPrefix(path);
  const own = <Value>(values: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(
      Object.entries(values)
        .filter(([task]) => task.startsWith(prefix))
        .map(([task, value]) => [task.slice(prefix.length), value]),
    );
  const { flushedThrough, inspectedAtMs, version } = facts;
  return { version, inspectedAtMs, flushedThrough: own(flushedThrough), flushes: own(flushes) };
}

/** Rows that logs say are in the table against rows that are. */
function compareTable(
  table: TableFacts,
  recounts: readonly Recount[],
  notes: string[],
): Discrepancy[] {
  const own = recounts.filter(({ flushedRows }) => flushedRows[table.name] !== undefined);
  if (table.version === null) return [];
  if (table.replacedAt !== null) {
    notes.push(`${table.name}: a backfill replaced it in version ${table.replacedAt}`);
    return [];
  }
  if (own.some((recount) => !isWhole(recount, recounts))) {
    notes.push(`${table.name}: the oldest commits are past their retention, rows are not compared`);
    return [];
  }
  const known = new Set(own.map(({ epoch, path }) => taskIdOf(path, epoch)));
  const strangers = Object.entries(table.flushedThrough)
    .filter(([task, through]) => through !== endedTaskVersion && !known.has(task))
    .map(([task]) => task);
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
