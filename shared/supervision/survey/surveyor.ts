import { incarnationOf } from '../../commit-log/incarnations';
import { limitsOf } from '../../commit-log/limits';
import { StreamError } from '../../model/errors';
import { claimedExchanges, readClaimJournal } from '../../task/claimant';
import { isPromoted } from '../../task/promoted-hub';
import { hubIsBehind, lastReadOf } from '../../task/promotion';
import { isClaimCurrent } from '../../time/claims';
import { isTimeOver } from '../../time/exchange-time';
import type { Position } from '../../time/position';
import type { ObjectStore } from '../../model/ports';
import type { StagePlan } from '../../model/program';
import { firstVersion } from '../../model/version-name';
import type { TaskAddress } from '../../model/task-address';
import type { StageServices } from '../../task/services';
import { taskIdOf } from '../../task/task-identity';
import { assess, type AssessLimits, type Need, type TaskFacts } from './assess';
import { listStageLives, surveyLog, type SurveyedLife } from './log-survey';
import { withDrift } from './drift-survey';
import { reportSurvey } from './survey-reports';
import { emptyDigest, withFlushed, type TaskDigest } from './task-digest';

/** Which tasks of a stage one survey looks at, with what the supervisor remembers of them. */
export interface SurveyRequest {
  readonly functionName: string;
  readonly page: number;
  /** By partition: commits up to which the supervisor saw to it that outboxes were sent. */
  readonly settled: Readonly<Record<string, number>>;
  /** By partition: the commit at which the supervisor left a recovery that is not over. */
  readonly recovering: Readonly<Record<string, number>>;
}

/** A task that needs something. Small: it travels through an orchestration's history. */
export interface Finding {
  readonly functionName: string;
  readonly partition: string;
  readonly needs: readonly Need[];
  readonly why: string;
  readonly commit: number;
  readonly lag: number;
}

/** What a survey says; the whole of it is in the store, under `name`. */
export interface SurveyResult {
  readonly name: string;
  readonly tasks: number;
  readonly lag: number;
  readonly findings: readonly Finding[];
  /** Tasks that could not be surveyed, with the reason of the first. */
  readonly failed: number;
  readonly error: string | null;
}

/** One task in a stored survey page. */
export interface SurveyedTask {
  readonly partition: string;
  /** Of the topology: another version's log is another one. */
  readonly version: string;
  readonly incarnation: string;
  readonly digest: TaskDigest;
  readonly hubLast: number;
  /** The sequence number that the next message will have, also where retention has emptied the hub. */
  readonly hubEnd: number;
  readonly lag: number;
  readonly lagSinceMs: number | null;
  readonly lagAtCursor: string;
  /** True when `lagSinceMs` is the first waiting message's own time. */
  readonly isLagExact: boolean;
  readonly settledThrough: number;
  readonly needs: readonly Need[];
  readonly why: string;
}

export interface SurveyPage {
  readonly format: 4;
  readonly functionName: string;
  readonly topology: string;
  readonly stage: string;
  readonly surveyedAtMs: number;
  readonly tasks: readonly SurveyedTask[];
}

/** Tasks of one survey: what one activity reads in a few seconds. */
const surveyPageTasks = 100;
/** Partitions looked at side by side. */
const surveyConcurrency = 16;

export interface SurveyedStage {
  readonly plan: StagePlan;
  readonly services: StageServices;
}

export interface SurveyorOptions {
  readonly stages: readonly SurveyedStage[];
  readonly objects: ObjectStore;
  readonly isDraining: (topology: string) => Promise<boolean>;
  /** The version of a topology whose logs are looked at. Default: the first. */
  readonly versionOf?: (topology: string) => Promise<string>;
  readonly graceMs: number;
}

export function surveyPageName(functionName: string, page: number): string {
  return `${surveyPagesOf(functionName)}${String(page).padStart(4, '0')}.json`;
}

/** What the names of a function's survey pages begin with. */
export function surveyPagesOf(functionName: string): string {
  return `supervisor/surveys/${functionName}/`;
}

/**
 * Looks at tasks without taking part in them: their logs, and what their hubs hold. The last
 * survey of a page is kept in the store, so any worker can go on from it; should two write it at
 * once, one survey is lost and the next reads a little more.
 */
export class Surveyor {
  readonly #options: SurveyorOptions;

  constructor(options: SurveyorOptions) {
    this.#options = options;
  }

  /** Pages that a full survey takes, by function. */
  async pages(): Promise<{ functionName: string; page: number }[]> {
    const pages: { functionName: string; page: number }[] = [];
    for (const { plan, services } of this.#options.stages) {
      const { partitionIds } = await services.hub.describe();
      const count = Math.ceil(partitionIds.length / surveyPageTasks);
      for (let page = 0; page < count; page += 1) {
        pages.push({ functionName: plan.functionName, page });
      }
    }
    return pages;
  }

  async survey(request: SurveyRequest): Promise<SurveyResult> {
    const stage = this.#stage(request.functionName);
    const { clock, hub } = stage.services;
    const name = surveyPageName(request.functionName, request.page);
    const before = await this.#read(name);
    const description = await hub.describe();
    const { partitionIds } = description;
    const start = request.page * surveyPageTasks;
    const partitions = partitionIds.slice(start, start + surveyPageTasks);
    const incarnation = incarnationOf(description);
    const work = new StageSurvey({ stage, request, before, incarnation, options: this.#options });
    await work.begin();
    const surveyed: SurveyedTask[] = [];
    const failures: unknown[] = [];
    const next = partitions.values();
    const run = async (): Promise<void> => {
      for (const partition of next) {
        try {
          surveyed.push(await work.task(partition));
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: surveyConcurrency }, run));
    const place = { page: request.page, version: work.version };
    const tasks = [...(await withDrift(stage, place, surveyed, before?.tasks ?? []))];
    const claimDue = await work.claimDue(tasks);
    for (const [index, task] of tasks.entries()) {
      const why = claimDue.get(task.partition);
      if (why === undefined) continue;
      const all = [task.why, why].filter((text) => text !== '').join('; ');
      tasks[index] = { ...task, needs: [...task.needs, 'claim'], why: all };
    }
    tasks.sort((left, right) => Number(left.partition) - Number(right.partition));
    const { topology, name: stageName } = stage.plan;
    const page: SurveyPage = {
      format: 4,
      functionName: request.functionName,
      topology,
      stage: stageName,
      surveyedAtMs: clock.nowMs(),
      tasks,
    };
    await this.#options.objects.put(name, Buffer.from(JSON.stringify(page)));
    reportSurvey(page, stage.services.telemetry);
    return {
      name,
      tasks: tasks.length,
      lag: tasks.reduce((sum, { lag }) => sum + lag, 0),
      findings: tasks.filter(({ needs }) => needs.length > 0).map(toFinding(request.functionName)),
      failed: failures.length,
      error: failures.length === 0 ? null : String(failures[0]).slice(0, 500),
    };
  }

  #stage(functionName: string): SurveyedStage {
    const stage = this.#options.stages.find(({ plan }) => plan.functionName === functionName);
    if (stage !== undefined) return stage;
    throw new StreamError(
      'STREAM_TOPOLOGY_INVALID',
      `no stage has the function ${functionName}: was it renamed while the supervisor ran?`,
    );
  }

  async #read(name: string): Promise<SurveyPage | null> {
    return readSurveyPage(await this.#options.objects.get(name));
  }
}

/** A stored page; null where there is none or an older or newer build wrote it: it is made anew. */
export function readSurveyPage(bytes: Uint8Array | undefined): SurveyPage | null {
  if (bytes === undefined) return null;
  const page = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<SurveyPage>;
  return page.format === 4 ? (page as SurveyPage) : null;
}

/** One survey of one page. */
class StageSurvey {
  readonly #stage: SurveyedStage;
  readonly #request: SurveyRequest;
  readonly #before: ReadonlyMap<string, SurveyedTask>;
  readonly #incarnation: string;
  readonly #options: SurveyorOptions;
  #lives: ReadonlyMap<string, SurveyedLife> = new Map();
  #isDraining = false;
  #version = firstVersion;
  /** Tables whose log was read anew in this survey. */
  readonly #refreshed = new Set<string>();

  constructor(options: {
    stage: SurveyedStage;
    request: SurveyRequest;
    before: SurveyPage | null;
    incarnation: string;
    options: SurveyorOptions;
  }) {
    this.#stage = options.stage;
    this.#request = options.request;
    this.#incarnation = options.incarnation;
    this.#options = options.options;
    const known = options.before?.tasks ?? [];
    this.#before = new Map(known.map((task) => [task.partition, task]));
  }

  get version(): string {
    return this.#version;
  }

  async begin(): Promise<void> {
    const { name: stage, topology } = this.#stage.plan;
    this.#version = (await this.#options.versionOf?.(topology)) ?? firstVersion;
    this.#lives = await listStageLives(
      this.#stage.services.appends,
      { topology, version: this.#version, stage },
      this.#incarnation,
    );
    this.#isDraining = await this.#options.isDraining(topology);
  }

  async task(partition: string): Promise<SurveyedTask> {
    const { services } = this.#stage;
    const path = this.#path(partition);
    const last = this.#before.get(partition);
    // What is known of another life of the task, or of another version, says nothing of this one.
    const isSameLog = last?.incarnation === path.incarnation && last.version === path.version;
    const before = isSameLog ? last : undefined;
    const read = await surveyLog(services, path, {
      digest: before?.digest ?? emptyDigest,
      generations: this.#lives.get(partition)?.generations ?? [],
    });
    const bounds = await services.hub.bounds(partition);
    const nowMs = services.clock.nowMs();
    const hubLast = bounds.isEmpty ? -1 : bounds.lastSequenceNumber;
    const hubEnd = bounds.lastSequenceNumber + 1;

    const from = read.cursor?.sequenceNumber ?? Math.max(0, bounds.firstSequenceNumber);
    const lag = Math.max(0, hubLast + 1 - from);
    const lagAtCursor = JSON.stringify(read.cursor);
    const isSameWait = before?.lagAtCursor === lagAtCursor && before.lagSinceMs !== null;
    // The longest that it can be: since the last commit. Looked up before anything is done about it.
    let lagSinceMs = lag === 0 ? null : isSameWait ? before.lagSinceMs : read.committedAtMs;
    let isLagExact = lag > 0 && isSameWait && before.isLagExact;
    const settledThrough = Math.max(
      before?.settledThrough ?? 0,
      this.#request.settled[partition] ?? 0,
    );
    const lastRead = lastReadOf(read);
    const isHubBehind =
      hubIsBehind(bounds, read) &&
      (lastRead === null || (await isPromoted(services.hub, path, [lastRead])));
    const facts = (): TaskFacts => ({
      ...{ digest: read, lagMessages: lag, lagSinceMs, settledThrough },
      isHubBehind,
      recoveringAtCommit: this.#request.recovering[partition] ?? null,
    });
    const limits = this.#limits(partition, nowMs);
    let assessed = assess(facts(), limits);
    if (assessed.needs.includes('recover') && !isLagExact) {
      lagSinceMs = Math.max(lagSinceMs ?? 0, await this.#enqueuedAtMs(partition, from, nowMs));
      isLagExact = true;
      assessed = assess(facts(), limits);
    }
    let digest = read;
    if (assessed.needs.includes('flush') || assessed.needs.includes('drain')) {
      // The log hears of a flush with the next commit only: the tables themselves know.
      digest = await this.#withTables(partition, read);
      assessed = assess({ ...facts(), digest }, limits);
    }
    const { incarnation, version } = path;
    return {
      ...{ partition, version, incarnation, digest, hubLast, hubEnd, lag, settledThrough },
      ...{ lagSinceMs, lagAtCursor, isLagExact },
      ...assessed,
    };
  }

  /**
   * Source partitions without input that consumers may still wait for, with why: whoever holds them claims that
   * they are idle; of those that nobody holds somebody else has to.
   */
  async claimDue(tasks: readonly SurveyedTask[]): Promise<ReadonlyMap<string, string>> {
    const due = new Map<string, string>();
    const { plan, services } = this.#stage;
    if (plan.input.kind !== 'source' || this.#isDraining) return due;
    const served = this.#options.stages.map((one) => ({ plan: one.plan, hub: one.services.hub }));
    const exchanges = claimedExchanges(served).filter(({ hub }) =>
      plan.exchanges.some((exchange) => exchange.hub === hub),
    );
    const graceMs = services.limits.claimEveryMs + this.#options.graceMs;
    const quiet = tasks.filter(
      ({ digest, lag }) =>
        lag === 0 &&
        !isTimeOver(digest.watermarkMs) &&
        services.clock.nowMs() - digest.committedAtMs >= graceMs,
    );
    const ends = Object.fromEntries(
      tasks.map(({ hubEnd, incarnation, partition }): [string, Position] => [
        `${plan.name}/${partition}`,
        [incarnation, hubEnd, 0],
      ]),
    );
    for (const exchange of exchanges) {
      const journal = await readClaimJournal(services, exchange, this.#version);
      for (const { digest, partition } of quiet) {
        const task = { name: `${plan.name}/${partition}`, epoch: digest.epoch };
        if (isClaimCurrent(journal, task, ends)) continue;
        due.set(partition, `${exchange.hub} is not told that it is idle`);
      }
    }
    return due;
  }

  /** When the message at the cursor was enqueued, by the hub's clock, but not in our future. */
  async #enqueuedAtMs(partitionId: string, first: number, nowMs: number): Promise<number> {
    const [message] = await this.#stage.services.hub.read({
      partitionId,
      ...{ firstSequenceNumber: first, lastSequenceNumber: first, messagesMax: 1 },
    });
    return Math.min(nowMs, message?.enqueuedTimeMs ?? 0);
  }

  async #withTables(partition: string, digest: TaskDigest): Promise<TaskDigest> {
    const { plan, services } = this.#stage;
    const flushed: Record<string, number> = {};
    const task = taskIdOf(this.#path(partition), digest.epoch);
    for (const table of plan.tables) {
      if (!digest.owedRows.some((owed) => owed.table === table.name)) continue;
      const refresh = !this.#refreshed.has(table.name);
      this.#refreshed.add(table.name);
      flushed[table.name] = await services.lakeTable(table).flushedThrough(task, { refresh });
    }
    return withFlushed(digest, flushed);
  }

  #path(partition: string): TaskAddress {
    const { name: stage, topology } = this.#stage.plan;
    const incarnation = this.#lives.get(partition)?.incarnation ?? this.#incarnation;
    return { topology, version: this.#version, stage, incarnation, partition };
  }

  #limits(partition: string, nowMs: number): AssessLimits {
    const { plan, services } = this.#stage;
    return {
      nowMs,
      stallAfterMs: services.limits.stallAfterMs,
      graceMs: this.#options.graceMs,
      isSource: plan.input.kind === 'source',
      quietAfterMs: plan.quiet?.afterMs ?? null,
      isDraining: this.#isDraining,
      log: limitsOf(this.#path(partition), services.limits.log),
      tables: Object.fromEntries(plan.tables.map(({ flush, name }) => [name, flush])),
    };
  }
}

function toFinding(functionName: string): (task: SurveyedTask) => Finding {
  return ({ digest, lag, needs, partition, why }) => ({
    ...{ functionName, partition, needs, why, lag },
    commit: digest.commit,
  });
}
