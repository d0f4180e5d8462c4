import { MemoryAppendStore, MemoryObjectStore } from '../../shared/adapters/memory-stores';
import { retireFormer } from '../../shared/commit-log/retire';
import { TaskLog } from '../../shared/commit-log/task-log';
import type { Bequest, TaskLogLimits } from '../../shared/commit-log/task-log-options';
import {
  emptySummary,
  type LogRecord,
  type SnapshotBase,
  type SnapshotPart,
  type TaskSummary,
} from '../../shared/model/commit';
import { StreamError } from '../../shared/model/errors';
import type { AppendStore, FaultPoint, ObjectStore } from '../../shared/model/ports';
import { commitNumber } from './log-records';

export const logPath = {
  topology: 'flights',
  version: 'v1',
  stage: 'shape',
  incarnation: '000001764000000',
  partition: '7',
};

/** Thrown at a fault point: the process is gone. */
export class ProcessDied extends Error {}

/** The stores that several processes share. */
export interface LogStores {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
}

export function memoryStores(): LogStores & { nowMs: number } {
  const world = { nowMs: 1_764_000_000_000 };
  const clock = { nowMs: () => world.nowMs };
  return Object.assign(world, {
    appends: new MemoryAppendStore(clock),
    objects: new MemoryObjectStore(),
  });
}

export interface LogProcessOptions {
  readonly stores: LogStores;
  readonly name: string;
  readonly faultPoint?: FaultPoint;
  readonly limits?: Partial<TaskLogLimits>;
  readonly inherited?: Bequest | null;
  readonly nowMs?: () => number;
  readonly path?: typeof logPath;
}

/**
 * A process with one log open, whose state is the list of commit ids it has seen: snapshots hold
 * that list, so two processes agree exactly when they have read one history.
 */
export class LogProcess {
  readonly log: TaskLog;
  readonly name: string;
  history: string[] = [];
  summary: TaskSummary | null = null;
  #attempts = 0;

  readonly #stores: LogStores;

  private constructor(log: TaskLog, { name, stores }: LogProcessOptions) {
    this.log = log;
    this.#stores = stores;
    this.name = name;
  }

  static async start(options: LogProcessOptions): Promise<LogProcess> {
    const log = await TaskLog.open({
      ...options.stores,
      clock: { nowMs: options.nowMs ?? (() => 1_764_000_000_000) },
      path: options.path ?? logPath,
      writer: options.name,
      limits: {
        blocksMax: 40_000,
        bytesMax: 1 << 30,
        ageMaxMs: 1 << 30,
        blockBytesMax: 1 << 22,
        ...options.limits,
      },
      faultPoint: options.faultPoint ?? (() => undefined),
      telemetry: { emit: () => undefined },
      inherited: options.inherited ?? null,
    });
    const process = new LogProcess(log, options);
    await process.load();
    return process;
  }

  async load(): Promise<void> {
    const { base, parts, records } = await this.log.load();
    this.history = parts.flatMap(parseHistory);
    if (this.history.length !== (base?.commit ?? 0)) {
      throw new Error(`a snapshot of ${this.history.length} commits at ${base?.commit ?? 0}`);
    }
    this.summary = null;
    this.#apply(records);
    await this.#finishRoll();
  }

  async catchUp(): Promise<void> {
    this.#apply(await this.log.catchUp());
    await this.#finishRoll();
  }

  /** Appends the next commit under this id. */
  async commit(commitId: string): Promise<'appended' | 'conflict'> {
    const { generation } = this.log;
    const plain = commitNumber(this.history.length + 1, this.name, generation);
    const record = { ...plain, commitId };
    const outcome = await this.log.append(record);
    if (outcome === 'appended') {
      this.history.push(commitId);
      this.summary = record.summary;
    }
    return outcome;
  }

  /** Commits this id once, as the engine does: whatever happens, the log is asked first. */
  async commitOnce(commitId: string): Promise<void> {
    while (!this.history.includes(commitId)) {
      if ((await this.#retrying(() => this.commit(commitId))) !== 'appended') {
        await this.#retrying(() => this.catchUp());
      }
    }
  }

  /** With a snapshot of what it has read, or with the base that the log has. */
  async roll(isWithSnapshot = true): Promise<'appended' | 'conflict'> {
    return this.log.roll(this.summary, isWithSnapshot ? await this.putSnapshot() : null);
  }

  /** Deletes all that the log no longer builds on; gives the generations that were deleted. */
  async retire(): Promise<readonly number[]> {
    const { base } = this.log;
    if (base === null) return [];
    return retireFormer(this.#stores, logPath, base, { nowMs: Infinity, retentionMs: 0 });
  }

  /** Puts the history in two parts. */
  async putSnapshot(): Promise<SnapshotBase> {
    const { generation, position } = this.log;
    const commit = this.history.length;
    const half = Math.floor(commit / 2);
    const halves = [this.history.slice(0, half), this.history.slice(half)];
    const parts: SnapshotPart[] = [];
    for (const [index, ids] of halves.entries()) {
      parts.push(await this.log.putPart(commit, index, Buffer.from(JSON.stringify(ids))));
    }
    return { commit, generation, position, parts };
  }

  /** What a log that carries on begins with. */
  bequest(): Bequest {
    const summary = { ...(this.summary ?? emptySummary), cursor: null };
    return { summary, parts: [Buffer.from(JSON.stringify(this.history))] };
  }

  async #finishRoll(): Promise<void> {
    while (this.log.needsRoll) {
      await this.log.finishRoll(this.summary, null);
      this.#apply(await this.log.catchUp());
    }
  }

  /** Undefined: the store gave no clear answer. */
  async #retrying<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'STREAM_STORE_UNAVAILABLE') throw error;
      this.#attempts += 1;
      if (this.#attempts > 1000) throw error;
      return undefined;
    }
  }

  #apply(records: readonly LogRecord[]): void {
    for (const record of records) {
      if (record.kind === 'header') this.summary = record.summary;
      if (record.kind !== 'commit') continue;
      this.summary = record.summary;
      if (record.commit !== this.history.length + 1) {
        throw new Error(`commit ${record.commit} follows ${this.history.length}`);
      }
      this.history.push(record.commitId);
    }
  }
}

function parseHistory(snapshot: Uint8Array): string[] {
  return JSON.parse(Buffer.from(snapshot).toString()) as string[];
}

/** Kills at the n-th passing of a point (from 1). */
export function dieAt(point: string, passing = 1): FaultPoint {
  let passings = 0;
  return (reached) => {
    if (reached !== point) return;
    passings += 1;
    if (passings === passing) throw new ProcessDied(point);
  };
}

/** A store to override single methods of. */
export function delegating(appends: AppendStore): AppendStore {
  return {
    create: (name) => appends.create(name),
    append: (request) => appends.append(request),
    readFrom: (name, position) => appends.readFrom(name, position),
    stat: (name) => appends.stat(name),
    list: (prefix) => appends.list(prefix),
    delete: (name) => appends.delete(name),
  };
}
