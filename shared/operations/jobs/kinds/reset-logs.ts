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

/** What a log that was ended had come to. */
export interface EndedLog {
  readonly path: TaskAddress;
  /** Birth of the task's state; undefined: it has no commit, or cannot be read. */
  readonly epoch: number | undefined;
  readonly eventsRead: number;
  /** False: it had been handed on before, and whoever comes begins the life after it. */
  readonly isEndedByReset: boolean;
}

/** Ends a log, or one that nobody has begun: from then on nobody can append to it, and it is known what it holds. */
export async function endLog(
  world: LogStores,
  stage: SurveyedStage,
  log: { readonly path: TaskAddress; readonly jobId: string },
): Promise<EndedLog> {
  const { path } = log;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await endOnce(world, stage, { path, writer: `${resetWriterPrefix}${log.jobId}` });
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      if (unreadable.has(error.code)) {
        world.telemetry.emit('warn', 'reset.log-unreadable', { ...path, error: error.message });
        return { path, epoch: undefined, eventsRead: 0, isEndedByReset: true };
      }
      if (error.code !== 'STREAM_COMMIT_CONTENDED' || attempt >= triesMax) throw error;
    }
  }
}

async function endOnce(
  world: LogStores,
  stage: SurveyedStage,
  { path, writer }: { readonly path: TaskAddress; readonly writer: string },
): Promise<EndedLog> {
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
  const { epoch, ledger } = (summary as TaskSummary | null) ?? emptySummary;
  const { isEndedByReset } = log;
  return { path, epoch: epoch === 0 ? undefined : epoch, eventsRead: ledger.read, isEndedByReset };
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
 * Begins a task's next life; nothing happens where somebody has begun it. One that reads an exchange
 * begins behind all that this holds: its producers send it again.
 */
export async function beginAnew(
  world: LogStores,
  stage: SurveyedStage,
  at: { readonly path: TaskAddress; readonly writer: string; readonly beginning: Beginning },
): Promise<void> {
  const { path, writer } = at;
  const inherited = await firstState(stage, path.partition, at.beginning);
  const log = await openLog(world, stage, { path, writer, inherited });
  // Whoever died between its blob and its header left it to us.
  await log.load();
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
