import { Type, type Static } from 'typebox';
import { listLogs } from '../../../commit-log/log-reader';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../../model/commit';
import type { AppendStore, Clock, ObjectStore } from '../../../model/ports';
import type { TablePlan } from '../../../model/table';
import { versionAfter } from '../../../model/version-name';
import { isNewerLife } from '../../../ledger/ledger-reader';
import { endedTaskVersion } from '../../../lake/lake-table';
import { taskIdOf, taskIdPrefix } from '../../../task/task-identity';
import type { SurveyedStage } from '../../../supervision/survey/surveyor';
import type { JobKind } from '../job-kind';
import { readBeginning, type VersionBeginning } from '../../decisions/versions';
import { compareExchanges } from './audit-exchanges';
import { AuditPlans, type AuditedStage } from './audit-plans';
import { inspectTable, type TableFacts, type TableFlushes } from './audit-table';
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
  /** Logs of stages that no plan knows: control was lost, and they are not in this build. */
  readonly unknown: readonly string[];
}

type AuditWork =
  | { readonly kind: 'table'; readonly plan: TablePlan }
  | {
      readonly kind: 'log';
      readonly path: TaskAddress;
      readonly plan: AuditedStage;
      readonly withHub: boolean;
    };

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
  const plansOf = (topology: string): Promise<AuditPlans> => {
    const own = world.stages.map(({ plan }) => plan).filter((plan) => plan.topology === topology);
    return AuditPlans.read(world.objects, topology, own);
  };
  return {
    name: 'audit',
    options: auditOptions,

    async plan(given) {
      const { topology, withHub } = given as AuditOptions;
      const plans = await plansOf(topology);
      // Tables first: whatever is flushed later is not counted on either side.
      const pieces: { phase: number; work: AuditWork }[] = plans
        .tables()
        .map((plan) => ({ phase: 0, work: { kind: 'table', plan } }));
      const unknown = new Set<string>();
      for (const path of await listLogs(world.appends, topology)) {
        const stages = plans.stagesOf(path.version);
        const place = stages.findIndex(({ name }) => name === path.stage);
        const plan = stages[place];
        if (plan === undefined) {
          unknown.add(`${path.version}/${path.stage}`);
          continue;
        }
        // Consumers before their producers: then no more can be taken in than was sent.
        const phase = stages.length - place;
        pieces.push({ phase, work: { kind: 'log', path, plan, withHub } });
      }
      return { pieces, summary: { topology, unknown: Array.from(unknown) } };
    },

    async run(given, context) {
      const work = given as AuditWork;
      const beat = (done: number, of: number): Promise<void> => context.beat(done, of);
      const { clock, lake } = world;
      if (work.kind === 'table') {
        const { facts, flushes } = await inspectTable({ lake, plan: work.plan, clock, beat });
        const bytes = Buffer.from(JSON.stringify({ facts, flushes } satisfies InspectedTable));
        await world.objects.put(inspectedName(context.folder, work.plan.name), bytes);
        return facts;
      }
      const { path, plan, withHub } = work;
      const tables: Record<string, TableOfTask> = {};
      for (const { name } of plan.tables) {
        const bytes = await world.objects.get(inspectedName(context.folder, name));
        // Its piece has failed, and the report says so.
        if (bytes === undefined) continue;
        const inspected = JSON.parse(Buffer.from(bytes).toString('utf8')) as InspectedTable;
        tables[name] = tableOfTask(path, inspected);
      }
      const own = world.stages.find(
        (stage) => stage.plan.topology === path.topology && stage.plan.name === path.stage,
      );
      const isSameHub = own?.plan.input.hub === plan.input.hub;
      const hub = withHub && isSameHub ? own.services.hub : null;
      return recountLog(world, { path, plan, clock, hub, tables, beat });
    },

    split: () => null,

    async report(_options, { planSummary, results }) {
      const { topology, unknown } = planSummary as AuditPlanSummary;
      const all = results as readonly (Recount | TableFacts)[];
      const recounts = all.filter((result) => result.kind === 'log');
      const tables = all.filter((result) => result.kind === 'table');
      const notes: string[] = tables.flatMap((table) => table.notes);
      for (const stage of unknown) notes.push(`${stage}: no plan knows it, its logs were not read`);
      const plans = await plansOf(topology);
      const beginnings = await readBeginnings(world.objects, topology, recounts);
      const discrepancies: Discrepancy[] = [
        ...all.flatMap((result) => result.discrepancies),
        ...tables.flatMap((table) => compareTable(table, recounts, notes)),
        ...compareExchanges({
          ...{ recounts, note: (note) => notes.push(note) },
          stagesOf: (version) => plans.stagesOf(version),
          givenUpIn: (version) => beginnings.get(versionAfter(version))?.underWay ?? null,
        }),
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
      isNewerLife(path, other.path) &&
      other.lastCommit === firstCommit - 1,
  );
}

/** Of the versions that follow those of the logs: where they began it was counted what was given up. */
async function readBeginnings(
  objects: ObjectStore,
  topology: string,
  recounts: readonly Recount[],
): Promise<ReadonlyMap<string, VersionBeginning>> {
  const beginnings = new Map<string, VersionBeginning>();
  for (const { path } of recounts) {
    const version = versionAfter(path.version);
    if (beginnings.has(version)) continue;
    const beginning = await readBeginning(objects, { topology, version });
    if (beginning !== null) beginnings.set(version, beginning);
  }
  return beginnings;
}
