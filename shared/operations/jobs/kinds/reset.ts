import { Type, type Static } from 'typebox';
import { StreamError } from '../../../model/errors';
import { incarnationOf } from '../../../commit-log/incarnations';
import { listLogs } from '../../../commit-log/log-reader';
import { deleteFormerLogs } from '../../../commit-log/former-layout';
import { logPrefix } from '../../../commit-log/names';
import { firstVersion } from '../../../model/version-name';
import type { ObjectStore } from '../../../model/ports';
import { taskIdOf } from '../../../task/task-identity';
import { surveyPagesOf, type SurveyedStage } from '../../../supervision/survey/surveyor';
import { clearDrain } from '../../decisions/drain-mark';
import type { JobKind, PieceContext } from '../job-kind';
import { beginAnew, deleteLog, endLog, type LogStores } from './reset-logs';
import { assertEmpty, emptyTable, type EmptiedTable, type TableToEmpty } from './reset-tables';
import type { TaskAddress } from '../../../model/task-address';

const resetOptions = Type.Object({
  topology: Type.String(),
  /** Also where something was committed a moment ago. */
  isForced: Type.Boolean(),
});

export type ResetOptions = Static<typeof resetOptions>;

interface ResetWork {
  readonly topology: string;
}

interface ResetResult {
  readonly filesTakenOut: number;
  readonly logBlobsDeleted: number;
}

/** A commit that is younger says that workers are at it. */
const restMs = 60_000;
/** Logs that are seen to side by side. */
const logsAtOnce = 16;

export interface ResetWorld extends LogStores {
  readonly lake: ObjectStore;
  readonly stages: readonly SurveyedStage[];
}

/**
 * Makes a topology begin anew: its tables are emptied, its commit logs deleted, and everything that
 * the hubs still hold is read again. What exchanges hold is passed over: their producers send it again.
 *
 * One piece does all of it, for no log may go before every table is seen to be empty; see `Reset`.
 */
export function resetKind(world: ResetWorld): JobKind {
  return {
    name: 'reset',
    options: resetOptions,

    async plan(given) {
      const { isForced, topology } = given as ResetOptions;
      if (!isForced) await assertAtRest(world, await listLogs(world.appends, topology));
      const work: ResetWork = { topology };
      return { pieces: [{ phase: 0, work }], summary: { topology } };
    },

    async run(given, context) {
      return new Reset(world, (given as ResetWork).topology, context).run();
    },

    split: () => null,

    async report(_options, { failures, planSummary, results }) {
      const [result] = results as readonly ResetResult[];
      const { filesTakenOut = 0, logBlobsDeleted = 0 } = result ?? {};
      const summary = { ...(planSummary as object), filesTakenOut, logBlobsDeleted };
      return { summary, isRight: result !== undefined && failures.length === 0 };
    },
  };
}

async function assertAtRest(world: ResetWorld, paths: readonly TaskAddress[]): Promise<void> {
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

/**
 * The operation. Whatever fails, or whoever dies, in the middle of it: logs that are still there are
 * whole or ended, never read anew beside rows that they made; and to run it again ends it.
 *
 * 1. Tables are emptied. Where that fails nothing else was touched.
 * 2. Logs are ended: no worker can commit any more, and what they hold is known.
 * 3. Tables are emptied again, and told in the same commit that the ended tasks are over: rows of
 *    theirs that a worker still holds in memory can never be flushed.
 * 4. Tables are read: they are empty. Only now do logs go, and begin anew with an epoch of their own:
 *    consumers first, behind what their exchanges hold; sources last, after one more look at the
 *    tables, for these read their hubs again at once.
 */
class Reset {
  readonly #world: ResetWorld;
  readonly #topology: string;
  readonly #context: PieceContext;
  readonly #stages: readonly SurveyedStage[];

  constructor(world: ResetWorld, topology: string, context: PieceContext) {
    this.#world = world;
    this.#topology = topology;
    this.#context = context;
    this.#stages = world.stages.filter(({ plan }) => plan.topology === topology);
  }

  async run(): Promise<ResetResult> {
    const { appends, objects } = this.#world;
    const first = await this.#during('its logs were not touched', () => this.#emptyTables(null));
    const paths = await listLogs(appends, this.#topology);
    return this.#during('its logs were ended and are kept as they are', async () => {
      const epochs = await this.#endLogs(paths);
      const tables = this.#tables(epochs);
      const second = await this.#emptyTables(tables);
      // A topology that was drained is to run again.
      await clearDrain(objects, this.#topology);
      const lives = [...epochs.values(), second.epochMax];
      const epoch = Math.max(this.#world.clock.nowMs(), ...lives.map((life) => life + 1));
      let logBlobsDeleted = 0;
      for (const kind of ['exchange', 'source'] as const) {
        await assertEmpty(this.#world, tables);
        for (const stage of this.#stages.filter(({ plan }) => plan.input.kind === kind)) {
          logBlobsDeleted += await this.#startStage(stage, paths, epoch);
        }
      }
      return { filesTakenOut: first.files + second.files, logBlobsDeleted };
    });
  }

  /** What fails says how things were left. */
  async #during<Result>(state: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      throw new StreamError(
        error.code,
        `${this.#topology} was not reset, ${state}; reset it again. ${error.message}`,
        { cause: error, details: error.details },
      );
    }
  }

  async #beat(): Promise<void> {
    const { clock } = this.#world;
    await this.#context.beat();
    if (clock.nowMs() < this.#context.deadlineMs) return;
    throw new StreamError('STREAM_STORE_UNAVAILABLE', 'the time of this try was over');
  }

  async #emptyTables(tables: readonly TableToEmpty[] | null): Promise<EmptiedTable> {
    let files = 0;
    let epochMax = 0;
    for (const table of tables ?? this.#tables(null)) {
      await this.#beat();
      const emptied = await emptyTable(this.#world, table, this.#context.jobId);
      files += emptied.files;
      epochMax = Math.max(epochMax, emptied.epochMax);
    }
    return { files, epochMax };
  }

  #tables(epochs: ReadonlyMap<TaskAddress, number> | null): TableToEmpty[] {
    return this.#stages.flatMap(({ plan, services }) => {
      const own = Array.from(epochs ?? []).filter(([path]) => path.stage === plan.name);
      const ended = epochs && own.map(([path, epoch]) => taskIdOf(path, epoch));
      const taskPrefix = `${this.#topology}/`;
      return plan.tables.map((table) => {
        const lakeTable = services.lakeTable(table);
        return { plan: table, lakeTable, taskPrefix, ended };
      });
    });
  }

  /** The births of the ended tasks, where they have one. */
  async #endLogs(paths: readonly TaskAddress[]): Promise<Map<TaskAddress, number>> {
    const epochs = new Map<TaskAddress, number>();
    const { jobId } = this.#context;
    for (const stage of this.#stages) {
      const own = paths.filter((path) => path.stage === stage.plan.name);
      await sideBySide(own, async (path) => {
        await this.#beat();
        const epoch = await endLog(this.#world, stage, { path, jobId });
        if (epoch !== undefined) epochs.set(path, epoch);
      });
    }
    return epochs;
  }

  /** Deletes a stage's logs, the oldest lives first, so that none is taken for the newest; begins anew. */
  async #startStage(
    stage: SurveyedStage,
    paths: readonly TaskAddress[],
    epoch: number,
  ): Promise<number> {
    const { plan, services } = stage;
    const hub = await services.hub.describe();
    const incarnation = incarnationOf(hub);
    const own = paths.filter((path) => path.stage === plan.name);
    const producers = await this.#producersOf(stage, paths);
    let deleted = await deleteFormerLogs(this.#world.appends, {
      ...{ topology: plan.topology, stage: plan.name },
    });
    const partitions = new Set([...hub.partitionIds, ...own.map(({ partition }) => partition)]);
    await sideBySide(Array.from(partitions), async (partition) => {
      const lives = own.filter((path) => path.partition === partition);
      for (const path of lives) {
        await this.#beat();
        const blobs = await deleteLog(this.#world, path);
        deleted += blobs;
      }
      if (!hub.partitionIds.includes(partition)) return;
      if (lives.length === 0 && plan.input.kind === 'source') return;
      await beginAnew(this.#world, stage, {
        path: {
          ...{ topology: plan.topology, version: firstVersion, stage: plan.name },
          ...{ incarnation, partition },
        },
        ...{ writer: services.writer, beginning: { epoch, producers } },
      });
    });
    // They remember places in logs that are gone.
    for (const { name } of await this.#world.objects.list(surveyPagesOf(plan.functionName))) {
      await this.#world.objects.delete(name);
    }
    return deleted;
  }

  /** Tasks that send to a stage, are still there, and begin anew. */
  async #producersOf(
    stage: SurveyedStage,
    paths: readonly TaskAddress[],
  ): Promise<readonly string[]> {
    const { input } = stage.plan;
    if (input.kind === 'source') return [];
    const names = new Set(input.producers.map(({ stage: producer }) => producer));
    const anew: string[] = [];
    for (const producer of this.#stages.filter(({ plan }) => names.has(plan.name))) {
      const { partitionIds } = await producer.services.hub.describe();
      const isAnew = (partition: string): boolean =>
        producer.plan.input.kind === 'exchange' ||
        paths.some((path) => path.stage === producer.plan.name && path.partition === partition);
      const begun = partitionIds.filter(isAnew);
      anew.push(...begun.map((partition) => `${producer.plan.name}/${partition}`));
    }
    return anew;
  }
}

/** Where one fails no other is begun; it rejects when all that were begun are over. */
async function sideBySide<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items.values();
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (const item of next) {
      if (failures.length > 0) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(logsAtOnce, items.length) }, run));
  if (failures.length > 0) throw failures[0];
}
