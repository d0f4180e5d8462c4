import { Type, type Static } from 'typebox';
import { isNewerLife } from '../../../ledger/ledger-reader';
import { StreamError } from '../../../model/errors';
import { hubOf, incarnationOf, lifeAfter } from '../../../commit-log/incarnations';
import { listLogs } from '../../../commit-log/log-reader';
import { deleteFormerLogs } from '../../../commit-log/former-layout';
import { firstVersion } from '../../../model/version-name';
import type { ObjectStore } from '../../../model/ports';
import { taskIdOf } from '../../../task/task-identity';
import { surveyPagesOf, type SurveyedStage } from '../../../supervision/survey/surveyor';
import { clearResetHalts } from '../../../task/halt-marks';
import { clearDrain, isMarkedDrained } from '../../decisions/drain-mark';
import { PlanStore } from '../../decisions/plan-store';
import type { JobKind, PieceContext } from '../job-kind';
import { ResetJournal, type EndedStage, type ResetDecision } from './reset-journal';
import { beginAnew, deleteLog, endLog, type EndedLog, type LogStores } from './reset-logs';
import { forgetHostCheckpoints } from './reset-checkpoints';
import { sideBySide } from './side-by-side';
import { announceReset, emptyTable, type ResetMark, type TableToEmpty } from './reset-tables';
import type { TaskAddress } from '../../../model/task-address';

const resetOptions = Type.Object({ topology: Type.String() });

type ResetOptions = Static<typeof resetOptions>;

interface ResetWork {
  readonly topology: string;
}

/** What a reset did. */
interface ResetResult {
  readonly logsEnded: number;
  /** Events that the ended logs of sources had read; what the hubs still hold of them is read again. */
  readonly eventsReadAgain: number;
  readonly stages: readonly EndedStage[];
  readonly tables: readonly { readonly table: string; readonly filesTakenOut: number }[];
  readonly filesTakenOut: number;
  readonly logBlobsDeleted: number;
}

/** A worker believes for a moment that a topology is drained (decisions/drain-mark.ts). */
const drainForgottenAfterMs = 2_000;

export interface ResetWorld extends LogStores {
  readonly lake: ObjectStore;
  readonly stages: readonly SurveyedStage[];
}

/**
 * Makes a topology begin anew, also while it runs: its tables are emptied, its commit logs end, and
 * everything that the hubs still hold is read again. What exchanges hold is passed over: their
 * producers send it again.
 *
 * One piece does all of it, for nothing may begin anew before every table is empty; see `Reset`.
 */
export function resetKind(world: ResetWorld): JobKind {
  return {
    name: 'reset',
    options: resetOptions,

    async plan(given) {
      const { topology } = given as ResetOptions;
      const work: ResetWork = { topology };
      return { pieces: [{ phase: 0, work }], summary: { topology } };
    },

    async run(given, context) {
      return Reset.run(world, (given as ResetWork).topology, context);
    },

    split: () => null,

    async report(_options, { failures, planSummary, results }) {
      const [result] = results as readonly ResetResult[];
      const summary = { ...(planSummary as object), ...(result ?? nothingDone) };
      return { summary, isRight: result !== undefined && failures.length === 0 };
    },
  };
}

const nothingDone: ResetResult = {
  ...{ logsEnded: 0, eventsReadAgain: 0, stages: [], tables: [] },
  ...{ filesTakenOut: 0, logBlobsDeleted: 0 },
};

/**
 * The operation. It asks nobody to stand still: a worker that commits in the middle of it either was
 * first, and what it committed is undone, or its log has ended, and it is refused. Whoever dies in the
 * middle leaves logs that are whole or ended; to run it again, or twice at once, ends it once.
 *
 * 1. Every table is told what will happen to it. Where that fails nothing else was touched.
 * 2. Every log is ended, also those that nobody has begun: no worker can commit any more
 *    (STREAM_RESET_UNFINISHED). Only then it is decided, once, with which epoch and as which lives all
 *    tasks begin anew.
 * 3. Every table is emptied in one version that also says that the ended tasks are over: rows of theirs
 *    that a worker still holds in memory can never be flushed.
 * 4. The next lives begin: consumers first, behind what their exchanges hold; sources last. What had
 *    been sent before is dropped by its epoch, whenever it arrives.
 * 5. The logs of the lives before are deleted, and what says that the host is further and that tasks wait for
 *    the reset.
 */
class Reset {
  readonly #world: ResetWorld;
  readonly #topology: string;
  readonly #context: PieceContext;
  readonly #stages: readonly SurveyedStage[];
  readonly #journal: ResetJournal;
  /** The one that the newest plan has. */
  readonly #version: string;

  private constructor(
    world: ResetWorld,
    topology: string,
    context: PieceContext,
    known: { readonly journal: ResetJournal; readonly version: string },
  ) {
    this.#world = world;
    this.#topology = topology;
    this.#context = context;
    this.#stages = world.stages.filter(({ plan }) => plan.topology === topology);
    this.#journal = known.journal;
    this.#version = known.version;
  }

  static async run(
    world: ResetWorld,
    topology: string,
    context: PieceContext,
  ): Promise<ResetResult> {
    const journal = await ResetJournal.join(world.objects, topology, context.jobId);
    const plan = await new PlanStore(world.objects).newest(topology);
    const version = plan?.version ?? firstVersion;
    return new Reset(world, topology, context, { journal, version }).#run();
  }

  async #run(): Promise<ResetResult> {
    const known = await this.#journal.decision();
    const epochMin =
      known?.epoch ?? (await this.#during('its logs were not touched', () => this.#announce()));
    return this.#during('its logs were ended and are kept as they are', async () => {
      const decision = known ?? (await this.#endLogs(epochMin));
      const tables = await this.#emptyTables(decision);
      await this.#forgetDrain();
      let formerBlobs = 0;
      for (const { plan } of this.#stages) {
        const stage = { topology: plan.topology, stage: plan.name };
        formerBlobs += await deleteFormerLogs(this.#world.appends, stage);
      }
      for (const kind of ['exchange', 'source'] as const) {
        for (const stage of this.#stages.filter(({ plan }) => plan.input.kind === kind)) {
          await this.#beginStage(stage, decision);
        }
      }
      const logBlobsDeleted = formerBlobs + (await this.#deleteFormer(decision));
      await forgetHostCheckpoints(this.#stages, () => this.#beat());
      await clearResetHalts(this.#world.objects, this.#topology);
      await this.#journal.end();
      const { stages } = decision;
      const sources = stages.filter(({ isSource }) => isSource);
      return {
        logsEnded: sumOf(stages, ({ logsEnded }) => logsEnded),
        eventsReadAgain: sumOf(sources, ({ eventsRead }) => eventsRead),
        ...{ stages, tables, logBlobsDeleted },
        filesTakenOut: sumOf(tables, ({ filesTakenOut }) => filesTakenOut),
      };
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

  get #mark(): ResetMark {
    return { topology: this.#topology, number: this.#journal.number };
  }

  /** @returns an epoch greater than that of any task that the tables know of */
  async #announce(): Promise<number> {
    let epochMin = 0;
    for (const table of this.#tables()) {
      await this.#beat();
      epochMin = Math.max(epochMin, 1 + (await announceReset(this.#world, table, this.#mark)));
    }
    return epochMin;
  }

  async #emptyTables({ ended }: ResetDecision): Promise<ResetResult['tables']> {
    const tables: { table: string; filesTakenOut: number }[] = [];
    for (const table of this.#tables()) {
      await this.#beat();
      const own = ended.filter((task) => task.startsWith(table.taskPrefix));
      const filesTakenOut = await emptyTable(this.#world, table, { ended: own, mark: this.#mark });
      tables.push({ table: table.plan.name, filesTakenOut });
    }
    return tables;
  }

  #tables(): TableToEmpty[] {
    return this.#stages.flatMap(({ plan, services }) =>
      plan.tables.map((table) => ({
        plan: table,
        lakeTable: services.lakeTable(table),
        taskPrefix: `${this.#topology}/`,
      })),
    );
  }

  /** Ends every log that there is or may come to be, and decides how all begin anew. */
  async #endLogs(epochMin: number): Promise<ResetDecision> {
    const paths = await listLogs(this.#world.appends, this.#topology);
    // Asked after the logs were listed: what somebody has begun since then is not among them.
    const known = await this.#journal.decision();
    if (known !== undefined) return known;
    const lives: TaskAddress[] = [];
    const ended: EndedLog[] = [];
    const stages: EndedStage[] = [];
    for (const stage of this.#stages) {
      const of = await this.#endStage(stage, paths);
      lives.push(...of.lives);
      ended.push(...of.ended);
      stages.push(of.report);
    }
    const births = ended.map(({ epoch = 0 }) => epoch + 1);
    return this.#journal.decide({
      epoch: Math.max(this.#world.clock.nowMs(), epochMin, ...births),
      ended: ended.flatMap(({ epoch, path }) =>
        epoch === undefined ? [] : [taskIdOf(path, epoch)],
      ),
      ...{ lives, stages },
    });
  }

  async #endStage(
    stage: SurveyedStage,
    paths: readonly TaskAddress[],
  ): Promise<{ lives: TaskAddress[]; ended: EndedLog[]; report: EndedStage }> {
    const { plan, services } = stage;
    const { jobId } = this.#context;
    const hub = await services.hub.describe();
    const first = incarnationOf(hub);
    const own = paths.filter((path) => path.stage === plan.name);
    const partitions = new Set([...hub.partitionIds, ...own.map(({ partition }) => partition)]);
    const lives: TaskAddress[] = [];
    const ended: EndedLog[] = [];
    let messagesHeld = 0;
    await sideBySide(Array.from(partitions), async (partition) => {
      const known = own.filter((path) => path.partition === partition);
      for (const path of known) {
        await this.#beat();
        ended.push(await endLog(this.#world, stage, { path, jobId }));
      }
      if (!hub.partitionIds.includes(partition)) return;
      const path = { topology: plan.topology, version: this.#version, stage: plan.name, partition };
      let newest = known
        .filter(({ version }) => version === this.#version)
        .map(({ incarnation }) => incarnation)
        .filter((incarnation) => hubOf(incarnation) === first)
        .sort()
        .at(-1);
      const isOpen = (): boolean =>
        !ended.some(
          (one) =>
            one.isEndedByReset && isSameLog(one.path, { ...path, incarnation: newest ?? '' }),
        );
      // One that nobody has begun, or that was handed on, could be begun at any moment.
      while (newest === undefined || isOpen()) {
        await this.#beat();
        newest = newest === undefined ? first : lifeAfter(newest);
        ended.push(
          await endLog(this.#world, stage, { path: { ...path, incarnation: newest }, jobId }),
        );
      }
      lives.push({ ...path, incarnation: lifeAfter(newest) });
      const bounds = await services.hub.bounds(partition);
      if (bounds.isEmpty) return;
      messagesHeld += bounds.lastSequenceNumber - Math.max(0, bounds.firstSequenceNumber) + 1;
    });
    const report = {
      stage: plan.name,
      isSource: plan.input.kind === 'source',
      logsEnded: own.length,
      // A life that was handed on is counted with the one that took it over.
      eventsRead: sumOf(newestOf(ended), ({ eventsRead }) => eventsRead),
      messagesHeld,
    };
    return { lives, ended, report };
  }

  /** A topology that was drained is to run again. */
  async #forgetDrain(): Promise<void> {
    const { objects } = this.#world;
    const drain = { topology: this.#topology, version: this.#version };
    if (!(await isMarkedDrained(objects, drain))) return;
    await clearDrain(objects, this.#topology);
    await this.#stages[0]?.services.sleep(drainForgottenAfterMs);
  }

  async #beginStage(stage: SurveyedStage, { epoch, lives }: ResetDecision): Promise<void> {
    const { input, name } = stage.plan;
    const producers =
      input.kind === 'source'
        ? []
        : lives
            .filter((path) => input.producers.some((one) => one.stage === path.stage))
            .map((path) => `${path.stage}/${path.partition}`);
    const own = lives.filter((path) => path.stage === name);
    await sideBySide(own, async (path) => {
      await this.#beat();
      const { writer } = stage.services;
      await beginAnew(this.#world, stage, { path, writer, beginning: { epoch, producers } });
    });
  }

  /** Nothing is taken over from the lives before: there are newer ones. */
  async #deleteFormer({ lives }: ResetDecision): Promise<number> {
    const { appends, objects } = this.#world;
    const former = (await listLogs(appends, this.#topology)).filter((path) => {
      const life = lives.find(
        (one) => one.stage === path.stage && one.partition === path.partition,
      );
      const isGone = lives.some(({ stage }) => stage === path.stage) && life === undefined;
      const isOtherVersion = life !== undefined && path.version !== life.version;
      return (
        isGone || isOtherVersion || (life !== undefined && path.incarnation < life.incarnation)
      );
    });
    let blobs = 0;
    await sideBySide(former, async (path) => {
      await this.#beat();
      const deleted = await deleteLog(this.#world, path);
      blobs += deleted;
    });
    for (const { plan } of this.#stages) {
      // They remember places in logs that are gone.
      for (const { name } of await objects.list(surveyPagesOf(plan.functionName))) {
        await objects.delete(name);
      }
    }
    return blobs;
  }
}

const sumOf = <Item>(items: readonly Item[], numberOf: (item: Item) => number): number =>
  items.reduce((sum, item) => sum + numberOf(item), 0);

const isSameLog = (left: TaskAddress, right: TaskAddress): boolean =>
  left.version === right.version &&
  left.stage === right.stage &&
  left.partition === right.partition &&
  left.incarnation === right.incarnation;

/** Of each task the newest log that has read anything. */
function newestOf(ended: readonly EndedLog[]): EndedLog[] {
  const newest = new Map<string, EndedLog>();
  for (const log of ended) {
    const { partition } = log.path;
    const before = newest.get(partition);
    const isNewer = before === undefined || isNewerLife(log.path, before.path);
    if (log.epoch !== undefined && isNewer) newest.set(partition, log);
  }
  return Array.from(newest.values());
}
