import type {
  AttemptRecord,
  CommitRecord,
  HeaderRecord,
  LogRecord,
  PlanRecord,
  SnapshotBase,
  SnapshotPart,
  TaskPlan,
  TaskSummary,
} from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import { fencedBy } from '../model/superseded';
import { appendWithReadBack, type AppendOutcome, type BlockOutcome } from './append-with-read-back';
import { corruptLog } from './corruption';
import type { CommitLogFaultPoint } from './fault-points';
import { assertNoFormerLog } from './former-layout';
import { Generation } from './generation';
import { listGenerations } from './generation-list';
import { fullLog, serviceBlocksMax } from './full-log';
import { generationName } from './names';
import { readEarlierRecords } from './earlier-records';
import { encodeRecord, recordVersion } from './record';
import { getParts, putPart } from './snapshots';
import type { TaskLogOptions } from './task-log-options';
import { promotionWriterPrefix, versionWriterPrefix } from './names';
import { resetWriterPrefix, unfinishedReset } from './unfinished-reset';

/** What `load` gives: the state is that of the parts, changed by the records after `base.commit`. */
export interface LoadedLog {
  /** Null: the state begins empty. */
  readonly base: SnapshotBase | null;
  readonly parts: readonly Uint8Array[];
  /** From `base` on. Of commits up to `base.commit` only outputs that are owed count. */
  readonly records: readonly LogRecord[];
}

/**
 * The log of one task, as one process sees it. Any number of processes may hold the same log at
 * once: an append counts if and only if the log still ends where this process has read to.
 *
 * Not reentrant: the caller awaits one method before it calls the next. Every method may reject with
 * - STREAM_STORE_UNAVAILABLE: nothing is known of the outcome; call `catchUp`, then decide,
 * - STREAM_COMMIT_CONTENDED: the log went on so far that this view of it is useless; open it anew,
 * - STREAM_LOG_CORRUPT, STREAM_LOG_VERSION_UNKNOWN, STREAM_SNAPSHOT_CORRUPT: stop.
 */
export class TaskLog {
  readonly #options: TaskLogOptions;
  #current: Generation;
  /** Read from the log and not yet handed to the caller by `catchUp`. */
  #kept: LogRecord[] = [];
  /** An append's outcome is unknown and the tail could not be read since. */
  #isDirty = false;

  private constructor(options: TaskLogOptions) {
    this.#options = options;
    this.#current = new Generation(options.path, 0);
  }

  /** Creates generation 0 where there is no log yet. `load` comes next. */
  static async open(options: TaskLogOptions): Promise<TaskLog> {
    const log = new TaskLog(options);
    if ((await log.#newestGeneration()) === undefined) {
      await assertNoFormerLog(options.appends, options.path);
      await log.#beginFirst();
    }
    return log;
  }

  /** The log as it is; null: nobody has begun it. For whoever does not know what it is to begin with. */
  static async openBegun(options: Omit<TaskLogOptions, 'inherited'>): Promise<TaskLog | null> {
    const log = new TaskLog({ ...options, inherited: null });
    const newest = await log.#newestGeneration();
    if (newest === undefined) return null;
    const first = newest > 0 ? null : await options.appends.stat(generationName(options.path, 0));
    // Who made the blob has not said yet what the task takes over, or died before.
    return first?.bytes === 0 ? null : log;
  }

  /** The generation that is appended to, or the sealed one before it while `needsRoll`. */
  get generation(): number {
    return this.#current.number;
  }

  /** Bytes of the generation that were read: where the next record goes. */
  get position(): number {
    return this.#current.position;
  }

  get blocks(): number {
    return this.#current.blocks;
  }

  /** Time of the generation's first record after its header; null: there is none. */
  get firstWriteMs(): number | null {
    return this.#current.firstWriteMs;
  }

  /** The plan whose build may commit, as far as the log was read; null: none was ever named. */
  get plan(): TaskPlan | null {
    return this.#current.plan;
  }

  /** What the generation's header says that the state is made of. */
  get base(): SnapshotBase | null {
    return this.#current.base;
  }

  /**
   * The generation is sealed and no next one has begun: somebody died in the middle of a roll. Apply
   * all records that `load` or `catchUp` gave, then call `finishRoll`.
   */
  get needsRoll(): boolean {
    return this.#current.end === 'sealed';
  }

  /** The task's incarnation has ended: nothing can be appended any more. */
  get isEnded(): boolean {
    return this.#current.end === 'final';
  }

  /** The same, and it is a reset that ended it: nobody takes over what it holds. */
  get isEndedByReset(): boolean {
    return this.isEnded && this.#current.sealedBy?.startsWith(resetWriterPrefix) === true;
  }

  /** The same, and the hub was promoted: the next life on it goes on with what this one holds. */
  get isEndedByPromotion(): boolean {
    return this.isEnded && this.#current.sealedBy?.startsWith(promotionWriterPrefix) === true;
  }

  /** Reads what the state is made of: a snapshot, and the records since. Repeatable. */
  async load(beforeParts: (partsBytes: number) => void = () => undefined): Promise<LoadedLog> {
    const newest = await this.#newestGeneration();
    if (newest === undefined) throw this.#movedOn('it was deleted');
    const bytes = await this.#readGenerationToLoad(newest);
    const records = this.#current.takeIn(bytes);
    const { base } = this.#current;
    beforeParts((base?.parts ?? []).reduce((sum, { bytes: of }) => sum + of, 0));
    const [earlier, parts] = await this.#unlessMovedOn(() =>
      Promise.all([
        readEarlierRecords(this.#options, this.#current),
        getParts(this.#options.objects, base === null ? [] : base.parts),
      ]),
    );
    this.#kept = [...earlier, ...records];
    if (this.needsRoll) await this.#readAhead();
    return { base, parts, records: this.#takeKept() };
  }

  /** What is missing or broken may have been retired while we read it: the log has gone on then. */
  async #unlessMovedOn<Result>(read: () => Promise<Result>): Promise<Result> {
    try {
      return await read();
    } catch (error) {
      const isHalt = error instanceof StreamError && error.disposition === 'halt';
      if (!isHalt || (await this.#newestGeneration()) === this.#current.number) throw error;
      const next = await this.#options.appends.stat(
        generationName(this.#options.path, this.#current.number + 1),
      );
      // A roll that got no further than an empty blob has retired nothing.
      throw next?.bytes === 0 ? error : this.#movedOn('it was retired');
    }
  }

  /**
   * Appends if and only if nobody appended since the last record this log has given its caller.
   * `conflict`: `catchUp` gives what is new (without another read), and nothing was appended.
   * A lost response is made good by reading back: `appended` is said when the record is in the log.
   */
  async append(record: CommitRecord | AttemptRecord | PlanRecord): Promise<AppendOutcome> {
    await this.#at('commit.before-append');
    const { blocks } = this.#current;
    // The last block is kept for the seal.
    if (blocks >= serviceBlocksMax - 1) throw fullLog(this.#current.name, blocks);
    const outcome = await this.#append(record);
    if (outcome === 'appended') await this.#at('commit.after-append');
    return outcome;
  }

  /** What others appended since, in order, across generations. Empty when there is nothing. */
  async catchUp(): Promise<readonly LogRecord[]> {
    if (this.#kept.length === 0) await this.#readAhead();
    return this.#takeKept();
  }

  /** True when the generation has reached a limit. */
  shouldRoll(): boolean {
    const { blocks, end, firstWriteMs, position } = this.#current;
    const { ageMaxMs, blocksMax, bytesMax } = this.#options.limits;
    if (end !== 'open' || firstWriteMs === null) return false;
    const ageMs = this.#options.clock.nowMs() - firstWriteMs;
    return blocks >= blocksMax || position >= bytesMax || ageMs >= ageMaxMs;
  }

  /** Stores a part of a snapshot of the state after that commit. Repeatable, at any time. */
  async putPart(commit: number, index: number, bytes: Uint8Array): Promise<SnapshotPart> {
    const { objects, path } = this.#options;
    const part = await putPart(objects, { path, commit, index }, bytes);
    await this.#at('snapshot.after-part');
    return part;
  }

  /** True when the generation is half-way to a limit: time to write the snapshot that the next one names. */
  isHalfFull(): boolean {
    const { blocks, end, firstWriteMs, position } = this.#current;
    const { ageMaxMs, blocksMax, bytesMax } = this.#options.limits;
    if (end !== 'open' || firstWriteMs === null) return false;
    const ageMs = this.#options.clock.nowMs() - firstWriteMs;
    return 2 * blocks >= blocksMax || 2 * position >= bytesMax || 2 * ageMs >= ageMaxMs;
  }

  /**
   * Seals this generation and begins the next. Nobody waits for a snapshot: the next header names the
   * given one, or else the base that this generation has. Order and why: docs/adr/0003. `conflict`:
   * somebody appended first and nothing was sealed.
   *
   * @param summary as of the last commit; null before there is one
   * @param snapshot a whole one, that this process has put; null: none is newer than the base
   */
  async roll(summary: TaskSummary | null, snapshot: SnapshotBase | null): Promise<AppendOutcome> {
    await this.#at('roll.before-seal');
    const { number, position } = this.#current;
    if ((await this.#seal({ isFinal: false, prefix: '' })) === 'conflict') return 'conflict';
    await this.#at('roll.after-seal');
    // Nothing of this generation is left to read where the snapshot was taken at its very end.
    const isAtEnd = snapshot?.generation === number && snapshot.position === position;
    const base = isAtEnd ? { ...snapshot, generation: number + 1, position: 0 } : snapshot;
    await this.finishRoll(summary, base);
    return 'appended';
  }

  /**
   * Begins the generation after a sealed one. May be repeated, and done by several at once: the
   * first header counts, and all that they may say means the same.
   */
  async finishRoll(summary: TaskSummary | null, snapshot: SnapshotBase | null): Promise<void> {
    invariant(this.needsRoll, 'only a sealed generation is followed by another');
    invariant(this.#kept.length === 0, 'a roll is finished after all records were applied');
    const from = this.#current;
    const isNewer = snapshot !== null && snapshot.commit >= (from.base?.commit ?? 0);
    const header = this.#header(from.number + 1, summary, isNewer ? snapshot : from.base);
    await this.#begin({ ...header, plan: from.plan });
    await this.#at('roll.after-header');
    this.#options.telemetry.emit('info', 'log.rolled', {
      ...this.#options.path,
      generation: this.generation,
      afterCommit: from.lastCommit,
      blocks: from.blocks,
      bytes: from.position,
      baseCommit: header.base?.commit ?? 0,
    });
  }

  /**
   * Ends the task's incarnation: after it nobody can append to this log or roll it. Repeatable.
   * @param prefix of the seal's writer, where it tells why the log ends
   * @throws StreamError STREAM_COMMIT_CONTENDED when somebody appended first: `catchUp`, try again
   */
  async seal(prefix = ''): Promise<void> {
    this.#assertOwnEnd();
    if (this.isEnded && this.#kept.length === 0) return;
    const outcome = await this.#seal({ isFinal: true, prefix });
    if (outcome === 'appended') return;
    if (this.isEnded && this.#kept.every(({ kind }) => kind === 'seal')) {
      this.#kept = [];
      this.#assertOwnEnd();
      return;
    }
    throw new StreamError(
      'STREAM_COMMIT_CONTENDED',
      `${this.#current.name}: somebody appended before the log could be ended; catch up and end it again`,
      { details: { ...this.#options.path } },
    );
  }

  async #seal(how: { readonly isFinal: boolean; readonly prefix: string }): Promise<AppendOutcome> {
    return this.#append({
      kind: 'seal',
      writer: how.prefix + this.#options.writer,
      sealedAtMs: this.#options.clock.nowMs(),
      afterCommit: this.#current.lastCommit,
      isFinal: how.isFinal,
    });
  }

  async #append(record: LogRecord): Promise<AppendOutcome> {
    if (this.#isDirty) await this.#readAhead();
    if (this.isEnded) throw this.#ended();
    if (this.#kept.length > 0 || this.needsRoll) return 'conflict';
    const block = encodeRecord(record);
    const { blockBytesMax } = this.#options.limits;
    invariant(block.byteLength <= blockBytesMax, 'a record fits one append', {
      bytes: block.byteLength,
      blockBytesMax,
    });
    const current = this.#current;
    const outcome = await this.#appendBlock(current, block);
    if (outcome.kind === 'conflict') {
      this.#keep(current, outcome.tail);
      if (this.needsRoll) await this.#readAhead();
    } else {
      current.moveOver(record, current.position + block.byteLength);
      this.#keep(current, outcome.tail);
    }
    return outcome.kind;
  }

  #header(
    generation: number,
    summary: TaskSummary | null,
    base: SnapshotBase | null,
  ): HeaderRecord {
    return {
      kind: 'header',
      generation,
      writer: this.#options.writer,
      begunAtMs: this.#options.clock.nowMs(),
      formatVersion: recordVersion,
      afterCommit: summary?.commit ?? 0,
      summary,
      plan: null,
      base,
    };
  }

  /** Begins generation 0, with what was handed on to the task. */
  async #beginFirst(): Promise<void> {
    const { inherited, objects, path } = this.#options;
    if (inherited === null) {
      await this.#begin(this.#header(0, null, null));
      return;
    }
    const { summary } = inherited;
    const { commit } = summary;
    const parts: SnapshotPart[] = [];
    for (const [index, bytes] of inherited.parts.entries()) {
      parts.push(await putPart(objects, { path, commit, index }, bytes));
    }
    await this.#begin(this.#header(0, summary, { commit, generation: 0, position: 0, parts }));
  }

  /** Puts the generation's blob and its header there, and moves to it. */
  async #begin(header: HeaderRecord): Promise<void> {
    const { appends, path } = this.#options;
    const { generation } = header;
    const isRoll = generation > 0;
    const next = new Generation(path, generation);
    await appends.create(next.name);
    if (isRoll) await this.#at('roll.after-create');
    else await this.#options.beforeBegin?.();
    const isNewest = (await this.#newestGeneration()) === generation;
    const records = isNewest ? await this.#writeHeader(next, header) : [];
    await this.#enter(next, records);
    if (this.needsRoll) await this.#readAhead();
  }

  /** Gives what is new to the caller: all that follows our header, or all after somebody else's. */
  async #writeHeader(next: Generation, header: HeaderRecord): Promise<readonly LogRecord[]> {
    const block = encodeRecord(header);
    const outcome = await this.#appendBlock(next, block);
    if (outcome.kind === 'appended') {
      next.moveOver(header, block.byteLength);
    } else if (outcome.tail.byteLength === 0) {
      // Going on would put commits where the header belongs, and nobody could read the log again.
      throw new StreamError(
        'STREAM_STORE_UNAVAILABLE',
        `${next.name}: the store refused the header although the blob is empty`,
      );
    }
    return next.takeIn(outcome.tail);
  }

  /**
   * Moves to a generation, unless it is a ghost: one that was retired, and that a process which had
   * slept since before then created anew. Where a later generation exists, a real one is sealed.
   */
  async #enter(next: Generation, records: readonly LogRecord[]): Promise<void> {
    const { appends } = this.#options;
    const isOpen = next.end === 'open';
    if (isOpen && (await this.#newestGeneration()) !== next.number) {
      const tail = await appends.readFrom(next.name, next.position);
      records = [...records, ...next.takeIn(tail ?? new Uint8Array())];
      if (next.end === 'open') {
        await appends.delete(next.name);
        throw this.#movedOn(`generation ${next.number} after it was retired`);
      }
    }
    this.#current = next;
    for (const record of records) this.#kept.push(record);
  }

  async #appendBlock(generation: Generation, block: Buffer): Promise<BlockOutcome> {
    const { appends, path, telemetry } = this.#options;
    const { name, position } = generation;
    this.#isDirty = true;
    const request = { name, block, expectedPosition: position };
    const outcome = await appendWithReadBack(appends, request).catch(async (error: unknown) => {
      // A ghost (see #enter) is shorter than what was read of the one whose place it has taken.
      const isCorrupt = error instanceof StreamError && error.code === 'STREAM_LOG_CORRUPT';
      const isOver = isCorrupt && (await this.#newestGeneration()) !== generation.number;
      throw isOver ? this.#movedOn('it was retired') : error;
    });
    this.#isDirty = false;
    if (outcome === 'missing') throw this.#movedOn('its blob was deleted');
    if (outcome.isReadBack) {
      telemetry.emit('info', 'log.read-back', { ...path, position, outcome: outcome.kind });
    }
    return outcome;
  }

  /** Reads everything that is new, following seals into later generations. */
  async #readAhead(): Promise<void> {
    const { appends, path } = this.#options;
    for (;;) {
      const current = this.#current;
      if (current.end === 'open') {
        const tail = await appends.readFrom(current.name, current.position);
        if (tail === undefined) throw this.#movedOn('its blob was deleted');
        this.#keep(current, tail);
      }
      this.#isDirty = false;
      if (current.end !== 'sealed') return;
      const next = new Generation(path, current.number + 1);
      const bytes = await appends.readFrom(next.name, 0);
      if (bytes === undefined || bytes.byteLength === 0) return;
      await this.#enter(next, next.takeIn(bytes));
    }
  }

  /** Chooses the generation that `load` begins with and gives its bytes. */
  async #readGenerationToLoad(newest: number): Promise<Uint8Array> {
    const { appends, path } = this.#options;
    this.#kept = [];
    this.#isDirty = false;
    this.#current = new Generation(path, newest);
    let bytes = await appends.readFrom(this.#current.name, 0);
    if (bytes?.byteLength === 0 && newest === 0) {
      await this.#beginFirst();
      this.#kept = [];
      this.#current = new Generation(path, 0);
      bytes = await appends.readFrom(this.#current.name, 0);
    } else if (bytes?.byteLength === 0) {
      // A roll that got no further than an empty blob: the state is still that of the one before.
      this.#current = new Generation(path, newest - 1);
      bytes = await appends.readFrom(this.#current.name, 0);
    }
    if (bytes === undefined) throw this.#movedOn('its blob was deleted');
    if (bytes.byteLength === 0) {
      throw corruptLog(
        { blob: this.#current.name, position: 0 },
        'it is empty although another follows',
      );
    }
    return bytes;
  }

  #keep(generation: Generation, bytes: Uint8Array): void {
    for (const record of generation.takeIn(bytes)) this.#kept.push(record);
  }

  #takeKept(): readonly LogRecord[] {
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }

  async #newestGeneration(): Promise<number | undefined> {
    return (await listGenerations(this.#options.appends, this.#options.path)).at(-1);
  }

  #at(point: CommitLogFaultPoint): void | Promise<void> {
    return this.#options.faultPoint(point);
  }

  /** Nothing is handed on from a log that a reset has ended, but by a reset. */
  #assertOwnEnd(): void {
    const isOwn = this.#options.writer.startsWith(resetWriterPrefix);
    if (this.isEndedByReset && !isOwn) throw this.#ended();
  }

  #ended(): StreamError {
    const { path } = this.#options;
    const { name, sealedBy } = this.#current;
    if (sealedBy?.startsWith(versionWriterPrefix) === true) {
      return fencedBy(name, null, { ...path, sealedBy });
    }
    if (!this.isEndedByReset) return this.#movedOn('its incarnation has ended');
    return unfinishedReset(name, path.topology, { ...path, sealedBy });
  }

  #movedOn(why: string): StreamError {
    return new StreamError(
      'STREAM_COMMIT_CONTENDED',
      `${this.#current.name}: ${why}, other processes have gone on without this one; open the task anew`,
      { details: { ...this.#options.path, generation: this.generation } },
    );
  }
}
