import { Type, type Static } from 'typebox';
import { StreamError } from '../../../model/errors';
import { incarnationOf } from '../../../commit-log/incarnations';
import { listLogs } from '../../../commit-log/log-reader';
import { logPrefix, type LogPath } from '../../../commit-log/names';
import { TaskLog } from '../../../commit-log/task-log';
import type { AppendStore, Clock, ObjectStore, Telemetry } from '../../../model/ports';
import { replaceFiles } from '../../../lake/replace-files';
import { readTable, replaceOperation } from '../../../lake/table-reader';
import { TaskState } from '../../../stage/task-state';
import { surveyPagesOf, type SurveyedStage } from '../../survey/surveyor';
import type { JobKind } from '../job-kind';
import { tableFolder, tableOf } from './compact';

const resetOptions = Type.Object({
  topology: Type.String(),
  /** Also where something was committed a moment ago. */
  isForced: Type.Boolean(),
});

export type ResetOptions = Static<typeof resetOptions>;

type ResetWork =
  | { readonly what: 'mark'; readonly topology: string }
  | { readonly what: 'table'; readonly table: string }
  | {
      readonly what: 'log';
      readonly functionName: string;
      readonly partition: string;
      readonly path: LogPath | null;
    };

interface ResetResult {
  readonly what: ResetWork['what'];
  readonly deleted: number;
}

/** A commit that is younger says that workers are at it. */
const restMs = 60_000;

export interface ResetWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly stages: readonly SurveyedStage[];
}

/**
 * Makes a topology begin anew: its tables are emptied (each in one commit of its log), its commit
 * logs deleted, and everything that the hubs still hold is read again. What exchanges hold is passed
 * over: their producers send it again. Tables and consumers first, sources last: they begin at once.
 */
export function resetKind(world: ResetWorld): JobKind {
  const { objects, stages } = world;

  return {
    name: 'reset',
    options: resetOptions,

    async plan(given) {
      const { isForced, topology } = given as ResetOptions;
      const paths = await listLogs(world.appends, topology);
      if (!isForced) await assertAtRest(world, paths);
      const pieces: { phase: number; work: ResetWork }[] = [
        { phase: 0, work: { what: 'mark', topology } },
      ];
      for (const { plan, services } of stages) {
        if (plan.topology !== topology) continue;
        const { functionName } = plan;
        for (const { name } of plan.tables) {
          pieces.push({ phase: 0, work: { what: 'table', table: name } });
        }
        const phase = plan.input.kind === 'source' ? 2 : 1;
        const own = paths.filter(({ stage }) => stage === plan.name);
        for (const path of own) {
          const work = { what: 'log', functionName, partition: path.partition, path } as const;
          pieces.push({ phase, work });
        }
        if (plan.input.kind === 'source') continue;
        for (const partition of (await services.hub.describe()).partitionIds) {
          if (own.some((path) => path.partition === partition)) continue;
          pieces.push({ phase, work: { what: 'log', functionName, partition, path: null } });
        }
      }
      return { pieces, summary: { topology } };
    },

    async run(given, context) {
      const work = given as ResetWork;
      await context.beat();
      switch (work.what) {
        case 'mark':
          // A topology that was drained is to run again.
          await objects.delete(`control/${work.topology}/drain`);
          return { what: work.what, deleted: 1 } satisfies ResetResult;
        case 'table': {
          const deleted = await emptyTable(world, work.table, `${context.jobId}-${work.table}`);
          return { what: work.what, deleted } satisfies ResetResult;
        }
        case 'log': {
          const deleted = work.path === null ? 0 : await deleteLog(world, work.path);
          // They remember a place in the log that is gone.
          const surveys = await objects.list(surveyPagesOf(work.functionName));
          for (const { name } of surveys) await objects.delete(name);
          const stage = stages.find(({ plan }) => plan.functionName === work.functionName);
          if (stage?.plan.input.kind === 'exchange') await beginBehind(world, work);
          return { what: work.what, deleted } satisfies ResetResult;
        }
        default:
          return work satisfies never;
      }
    },

    split: () => null,

    async report(_options, { planSummary, results }) {
      const sum = (what: ResetWork['what']): number =>
        (results as readonly ResetResult[])
          .filter((result) => result.what === what)
          .reduce((total, { deleted }) => total + deleted, 0);
      const summary = {
        ...(planSummary as object),
        ...{ filesTakenOut: sum('table'), logBlobsDeleted: sum('log') },
      };
      return { summary, isRight: true };
    },
  };
}

async function assertAtRest(world: ResetWorld, paths: readonly LogPath[]): Promise<void> {
  const { appends, clock } = world;
  for (const path of paths) {
    const newest = (await appends.list(logPrefix(path))).at(-1);
    const writtenAtMs =
      newest === undefined ? 0 : ((await appends.stat(newest))?.modifiedAtMs ?? 0);
    const ageMs = clock.nowMs() - writtenAtMs;
    if (ageMs >= restMs) continue;
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${path.topology}/${path.stage}/${path.partition} was written to ${Math.round(ageMs / 1000)} s ago: stop its producers or its workers, wait a minute and reset again (--force does it all the same)`,
    );
  }
}

async function deleteLog(world: ResetWorld, path: LogPath): Promise<number> {
  const { appends, objects } = world;
  const { incarnation, partition, stage, topology } = path;
  const names = await appends.list(logPrefix(path));
  // The newest last: until then the log is whole for whoever opens it.
  for (const name of names) await appends.delete(name);
  const snapshots = `snapshots/${topology}/${stage}/${incarnation}/${partition}/`;
  for (const { name } of await objects.list(snapshots)) await objects.delete(name);
  return names.length;
}

/** A new log of a consumer begins behind all that its exchange holds. */
async function beginBehind(
  world: ResetWorld,
  work: { readonly functionName: string; readonly partition: string },
): Promise<void> {
  const { appends, clock, objects, stages, telemetry } = world;
  const stage = stages.find(({ plan }) => plan.functionName === work.functionName);
  if (stage === undefined) throw new Error(`this build has no stage ${work.functionName}`);
  const { plan, services } = stage;
  const incarnation = incarnationOf(await services.hub.describe());
  const bounds = await services.hub.bounds(work.partition);
  const state = new TaskState(plan);
  state.cursor = { sequenceNumber: bounds.isEmpty ? 0 : bounds.lastSequenceNumber + 1, index: 0 };
  await TaskLog.open({
    ...{ appends, objects, clock, telemetry, writer: services.writer },
    path: {
      ...{ topology: plan.topology, stage: plan.name, partition: work.partition },
      incarnation,
    },
    limits: services.limits.log,
    faultPoint: services.faultPoint,
    initialSnapshot: state.snapshot(),
  });
}

/** Takes every file out of a table, in one commit of its log. */
async function emptyTable(world: ResetWorld, name: string, token: string): Promise<number> {
  const { clock, lake, stages, telemetry } = world;
  const plan = tableOf(
    stages.flatMap((stage) => stage.plan.tables),
    name,
  );
  const where = { objects: lake, folder: tableFolder(name) };
  const { files, version } = await readTable({ ...where, format: plan.format });
  if (files.length === 0) return 0;
  await replaceFiles(
    { ...where, plan, clock, telemetry },
    {
      ...{ token, operation: replaceOperation, readVersion: version },
      ...{ removes: files.map(({ add }) => add), adds: [], isDataChange: true },
    },
  );
  return files.length;
}
