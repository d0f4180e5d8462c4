import { listGenerations } from '../../../commit-log/generation-list';
import { generationName, snapshotsPrefix, type LogPath } from '../../../commit-log/names';
import { TaskLog } from '../../../commit-log/task-log';
import { resetWriterPrefix } from '../../../commit-log/unfinished-reset';
import { StreamError, type ErrorCode } from '../../../model/errors';
import type { AppendStore, Clock, ObjectStore, Telemetry } from '../../../model/ports';
import type { LogRecord } from '../../../model/commit';
import { epochKnown, startEpoch } from '../../../task/task-identity';
import { TaskState } from '../../../task/task-state';
import type { SurveyedStage } from '../../../supervision/survey/surveyor';

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
  log: { readonly path: LogPath; readonly writer: string; readonly snapshot: Uint8Array | null },
): Promise<TaskLog> {
  const { appends, clock, objects, telemetry } = world;
  return TaskLog.open({
    ...{ appends, objects, clock, telemetry, writer: log.writer },
    path: log.path,
    limits: services.limits.log,
    faultPoint: services.faultPoint,
    initialSnapshot: log.snapshot,
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
  log: { readonly path: LogPath; readonly jobId: string },
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
  { path, writer }: { readonly path: LogPath; readonly writer: string },
): Promise<number | undefined> {
  const log = await openLog(world, stage, { path, writer, snapshot: null });
  const { records, snapshot } = await log.load();
  const state = TaskState.fromSnapshot(stage.plan, snapshot);
  const takeIn = (news: readonly LogRecord[]): void => {
    for (const record of news) if (record.kind === 'commit') state.applyCommit(record);
  };
  takeIn(records);
  while (log.needsRoll) {
    // Somebody died in the middle of a roll, and anybody could go on with it.
    await log.finishRoll(state.snapshot());
    takeIn(await log.catchUp());
  }
  await log.seal();
  return epochKnown(state);
}

/** Deletes a log with its snapshots. Until the last blob goes it is whole for whoever opens it. */
export async function deleteLog(
  world: Pick<LogStores, 'appends' | 'objects'>,
  path: LogPath,
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
  at: { readonly path: LogPath; readonly writer: string; readonly beginning: Beginning },
): Promise<void> {
  const { path, writer } = at;
  for (let attempt = 1; attempt <= triesMax; attempt += 1) {
    const snapshot = await firstSnapshot(stage, path.partition, at.beginning);
    const log = await openLog(world, stage, { path, writer, snapshot });
    const loaded = await log.load();
    const isOurs = loaded.snapshot !== null && Buffer.compare(loaded.snapshot, snapshot) === 0;
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

async function firstSnapshot(
  { plan, services }: SurveyedStage,
  partition: string,
  { epoch, producers }: Beginning,
): Promise<Uint8Array> {
  const state = new TaskState(plan);
  startEpoch(state, epoch);
  if (plan.input.kind === 'exchange') {
    const bounds = await services.hub.bounds(partition);
    state.cursor = { sequenceNumber: bounds.isEmpty ? 0 : bounds.lastSequenceNumber + 1, index: 0 };
    state.expectProducers(producers, epoch);
  }
  return state.snapshot();
}
