import { listGenerations } from '../../../commit-log/generation-list';
import { generationName, snapshotsPrefix } from '../../../commit-log/names';
import { TaskLog } from '../../../commit-log/task-log';
import type { Bequest } from '../../../commit-log/task-log-options';
import { resetWriterPrefix } from '../../../commit-log/unfinished-reset';
import { StreamError, type ErrorCode } from '../../../model/errors';
import type { AppendStore, Clock, ObjectStore, Telemetry } from '../../../model/ports';
import { emptySummary, type Cursor, type LogRecord, type TaskSummary } from '../../../model/commit';
import { TaskState } from '../../../task/task-state';
import type { SurveyedStage } from '../../../supervision/survey/surveyor';
import type { TaskAddress } from '../../../model/task-address';

/** Each is lost to a worker that had just opened the log. */
const triesMax = 50;

/** A log that nobody can read: nobody can go on with it either. */
const unreadable: ReadonlySet<ErrorCode> = new Set([
  'STREAM_LOG_CORRUPT',
  'STREAM_LOG_VERSION_UNKNOWN',
  'STREAM_SNAPSHOT_CORRUPT',
  'STREAM_STATE_MISMATCH',
]);

export interface LogStores {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

function openLog(
  world: LogStores,
  { services }: SurveyedStage,
  log: {
    readonly path: TaskAddress;
    readonly writer: string;
    readonly inherited: Bequest | null;
  },
): Promise<TaskLog> {
  const { appends, clock, objects, telemetry } = world;
  return TaskLog.open({
    ...{ appends, objects, clock, telemetry },
    ...log,
    limits: services.limits.log,
    faultPoint: services.faultPoint,
  });
}

/**
 * Ends a log, so that nobody can append to it any more: from then on it is known what it holds.
 *
 * @returns the birth of its task's state; undefined: it has no commit, or cannot be read
 */
export async function endLog(
  world: LogStores,
  stage: SurveyedStage,
  log: { readonly path: TaskAddress; readonly jobId: string },
): Promise<number | undefined> {
  const { path } = log;
  for (let attempt = 1; ; attempt += 1) {
    if ((await listGenerations(world.appends, path)).length === 0) return undefined;
    try {
      return await endOnce(world, stage, { path, writer: `${resetWriterPrefix}${log.jobId}` });
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      if (unreadable.has(error.code)) {
        world.telemetry.emit('warn', 'reset.log-unreadable', { ...path, error: error.message });
        return undefined;
      }
      if (error.code !== 'STREAM_COMMIT_CONTENDED' || attempt >= triesMax) throw error;
    }
  }
}

async function endOnce(
  world: LogStores,
  stage: SurveyedStage,
  { path, writer }: { readonly path: TaskAddress; readonly writer: string },
): Promise<number | undefined> {
  const log = await openLog(world, stage, { path, writer, inherited: null });
  let summary: TaskSummary | null = null;
  const takeIn = (news: readonly LogRecord[]): void => {
    for (const record of news) {
      if (record.kind === 'header' || record.kind === 'commit') summary = record.summary;
    }
  };
  takeIn((await log.load()).records);
  while (log.needsRoll) {
    // Somebody died in the middle of a roll, and anybody could go on with it.
    await log.finishRoll(summary, null);
    takeIn(await log.catchUp());
  }
  await log.seal();
  const { epoch } = (summary as TaskSummary | null) ?? emptySummary;
  return epoch === 0 ? undefined : epoch;
}

/** Deletes a log with its snapshots. Until the last blob goes it is whole for whoever opens it. */
export async function deleteLog(
  world: Pick<LogStores, 'appends' | 'objects'>,
  path: TaskAddress,
): Promise<number> {
  const { appends, objects } = world;
  const generations = await listGenerations(appends, path);
  for (const generation of generations) await appends.delete(generationName(path, generation));
  for (const { name } of await objects.list(snapshotsPrefix(path))) await objects.delete(name);
  return generations.length;
}

/** What a task begins anew with. */
export interface Beginning {
  /** Greater than that of any life before. */
  readonly epoch: number;
  /** Tasks that send to this one and begin anew with the same epoch, as `<stage>/<partition>`. */
  readonly producers: readonly string[];
}

/**
 * Begins a log anew that was deleted. One that reads an exchange begins behind all that this holds:
 * its producers send it again.
 */
export async function beginAnew(
  world: LogStores,
  stage: SurveyedStage,
  at: { readonly path: TaskAddress; readonly writer: string; readonly beginning: Beginning },
): Promise<void> {
  const { path, writer } = at;
  for (let attempt = 1; attempt <= triesMax; attempt += 1) {
    const inherited = await firstState(stage, path.partition, at.beginning);
    const log = await openLog(world, stage, { path, writer, inherited });
    const { parts, records } = await log.load();
    const [header] = records;
    const isOurs =
      header?.kind === 'header' &&
      header.summary?.epoch === at.beginning.epoch &&
      Buffer.compare(Buffer.concat(parts), Buffer.concat(inherited.parts)) === 0;
    if (isOurs) return;
    // A worker was faster: what it began knows nothing of where to begin.
    await deleteLog(world, path);
  }
  throw new StreamError(
    'STREAM_COMMIT_CONTENDED',
    `workers begin the log of ${path.topology}/${path.stage}/${path.partition} again and again: stop them`,
    { details: { ...path } },
  );
}

async function firstState(
  { plan, services }: SurveyedStage,
  partition: string,
  { epoch, producers }: Beginning,
): Promise<Bequest> {
  const state = new TaskState(plan);
  let cursor: Cursor | null = null;
  if (plan.input.kind === 'exchange') {
    const bounds = await services.hub.bounds(partition);
    cursor = { sequenceNumber: bounds.isEmpty ? 0 : bounds.lastSequenceNumber + 1, index: 0 };
    state.expectProducers(producers, epoch);
  }
  return state.bequest({ ...emptySummary, epoch, cursor });
}
