import { crc32 } from 'node:zlib';
import type {
  AttemptRecord,
  CommitRecord,
  Cursor,
  DeadLetter,
  LedgerCounts,
} from '../../../shared/model/commit';
import type { EventEnd } from '../../../shared/model/program';
import { holds, same } from './invariants';
import { LogPlan } from './plan-model';
import type { RecordedHubs } from './recorded-hubs';
import { plainShape, type Shape } from '../world/topology';

/** A stretch of one message that a commit ran; `end` null: to its last event, and past it. */
export interface Stretch {
  readonly sequenceNumber: number;
  readonly body: Buffer;
  readonly start: number;
  readonly end: number | null;
}

export interface ModelContext {
  readonly hubs: RecordedHubs;
  /** The latest that any worker's clock can show. */
  readonly clockMaxMs: () => number;
  /** Where wall clock moves time: how long after it happened an event may be enqueued. */
  readonly maxDelayMs: number | null;
  /** True when the worker of that name died, stood still for a while, or left a batch undone. */
  readonly wasLost: (writer: string) => boolean;
  readonly attemptsMax: number;
  /** Orders that did harm do none from some time on. */
  readonly isMended: () => boolean;
  /** Wall clock moved a source's watermark. */
  readonly onIdleTick: () => void;
}

const killedCode = 'STREAM_EVENT_KILLED_WORKER';

/**
 * What the log of one task must say next, followed over all its incarnations: positions, hashes,
 * gaps and attempts here; what becomes of the events in the models of the two kinds of stage.
 */
export abstract class TaskModel {
  readonly name: string;
  readonly stage: string;
  readonly partition: string;
  cursor: Cursor | null = null;
  incarnation = '';
  /** Of the topology. */
  version = 'v1';
  commit = 0;
  /** What its log knows of plans. */
  readonly log: LogPlan;
  readonly ledger: Record<keyof LedgerCounts, number> = {
    read: 0,
    emitted: 0,
    filtered: 0,
    late: 0,
    deadLettered: 0,
    gap: 0,
  };
  /** Events that were dead-lettered unprocessed because their workers had died. */
  readonly quarantined = new Set<string>();
  /** Dead letters that were redriven; each once. */
  redriven = 0;
  protected readonly context: ModelContext;
  protected readonly hub: string;
  protected shape: Shape = plainShape;
  #attempts: AttemptRecord[] = [];
  /** All dead letters that are not settled, by id. */
  readonly #letters = new Map<string, DeadLetter>();

  constructor(task: { stage: string; partition: string; hub: string }, context: ModelContext) {
    this.stage = task.stage;
    this.partition = task.partition;
    this.name = `${task.stage}/${task.partition}`;
    this.log = new LogPlan(this.name);
    this.hub = task.hub;
    this.context = context;
  }

  /** The log goes on for another life of the hub: the state is kept, the position is not. */
  beginIncarnation(incarnation: string): void {
    holds(incarnation > this.incarnation, 'I5', () => `${this.name} goes back to ${incarnation}`);
    this.incarnation = incarnation;
    this.cursor = null;
    this.log.plan = null;
    this.#attempts = [];
  }

  /** Its log is in a row of logs that begins anew: position and totals are kept, state and time are not. */
  beginVersion(version: string): void {
    holds(Number(version.slice(1)) > Number(this.version.slice(1)), 'I5', () => {
      return `${this.name} goes from ${this.version} back to ${version}`;
    });
    this.version = version;
    this.log.plan = null;
    this.#attempts = [];
  }

  /** Keys that are open, by node; none where there are none. */
  abstract get open(): Readonly<Record<string, number>>;

  /** Its version is over: what is open is given up. */
  endVersion(): void {
    this.forgetState();
  }

  onAttempt(record: AttemptRecord): void {
    if (this.cursor !== null) {
      same(record.from, this.cursor, 'I5', `${this.name}: where an attempt begins`);
    }
    this.#attempts.push(record);
    holds(
      this.#attempts.length <= this.context.attemptsMax,
      'I12',
      () => `${this.name}: ${this.#attempts.length} attempts without a commit`,
    );
  }

  onCommit(record: CommitRecord, shape: Shape): void {
    same(record.summary.planNumber, this.log.number, 'I5', `${this.name}: plan of its commit`);
    if (shape !== this.shape) this.reshape(shape);
    this.shape = shape;
    same(record.commit, this.commit + 1, 'I5', `${this.name}: number of the commit`);
    this.#checkStart(record.from);
    const before = { ...this.ledger };
    this.beginCommit(record);
    this.#walk(record);
    this.#settle(record);
    this.endCommit(record);
    record.deadLetters.forEach((letter, n) => this.#letters.set(`${record.commit}.${n}`, letter));
    const counted = Object.fromEntries(
      Object.entries(record.ledger).map(([end, count]) => [
        end,
        before[end as keyof LedgerCounts] + count,
      ]),
    );
    const sorted = (ledger: object): [string, number][] => Object.entries(ledger).sort();
    same(sorted(counted), sorted(this.ledger), 'I1', `${this.name}: ledger after ${record.commit}`);
    const { deadLettered, emitted, filtered, late, read } = record.ledger;
    same(emitted + filtered + late + deadLettered, read, 'I1', `${this.name}: sum of all ends`);
    this.commit = record.commit;
    this.cursor = record.to;
    this.#attempts = [];
  }

  /** What it keeps beside position and totals is given up. */
  protected abstract forgetState(): void;
  /** From now on another build is at work. */
  protected abstract reshape(shape: Shape): void;
  protected abstract beginCommit(record: CommitRecord): void;
  protected abstract message(stretch: Stretch, record: CommitRecord): void;
  protected abstract endCommit(record: CommitRecord): void;
  /** A letter's event is processed once more, in this commit: how it must end. */
  protected abstract redrive(letter: DeadLetter, record: CommitRecord): EventEnd;

  /** What settles a letter is in the commit that holds its effects; a letter is settled once. */
  #settle(record: CommitRecord): void {
    for (const { id, verdict } of record.settledLetters) {
      const letter = this.#letters.get(id);
      const where = `${this.name}: letter ${id} in ${record.commit}`;
      holds(letter !== undefined, 'I3', () => `${where} is settled twice, or never was`);
      this.#letters.delete(id);
      this.redriven += 1;
      this.ledger.read += 1;
      const end = this.redrive(letter, record);
      this.ledger[end] += 1;
      same(verdict.end, end, 'I13', `${where}: how it ended`);
    }
  }

  #checkStart(from: Cursor): void {
    if (this.cursor !== null) {
      same(from, this.cursor, 'I5', `${this.name}: where a commit begins`);
      return;
    }
    // A task's life begins where its hub begins: never after something that can be read.
    const { first } = this.context.hubs.partition(this.hub, this.incarnation, this.partition);
    holds(from.index === 0 && from.sequenceNumber <= first, 'I2', () => {
      return `${this.name} begins at ${from.sequenceNumber}, the hub at ${first}`;
    });
  }

  /** Follows the range message by message; checks gaps, count and hash. */
  #walk(record: CommitRecord): void {
    const recorded = this.context.hubs.partition(this.hub, this.incarnation, this.partition);
    const gaps = record.gaps.filter(({ reason }) => reason === 'retention');
    let { index, sequenceNumber } = record.from;
    let messages = 0;
    let hash = 0;
    for (;;) {
      const gap = gaps[0];
      if (gap?.fromSequenceNumber === sequenceNumber) {
        gaps.shift();
        holds(gap.toSequenceNumber < recorded.first, 'I2', () => {
          return `${this.name} declares ${sequenceNumber} to ${gap.toSequenceNumber} gone, the hub begins at ${recorded.first}`;
        });
        this.ledger.gap += gap.toSequenceNumber + 1 - sequenceNumber;
        sequenceNumber = gap.toSequenceNumber + 1;
        index = 0;
        continue;
      }
      const isLast = sequenceNumber === record.to.sequenceNumber;
      if (sequenceNumber > record.to.sequenceNumber || (isLast && record.to.index <= index)) break;
      const body = recorded.bodies[sequenceNumber];
      holds(body !== undefined, 'I2', () => `${this.name} read ${sequenceNumber}: it never was`);
      messages += 1;
      hash = crc32(body, hash);
      const end = isLast ? record.to.index : null;
      this.message({ sequenceNumber, body, start: index, end }, record);
      if (isLast) break;
      sequenceNumber += 1;
      index = 0;
    }
    same(gaps, [], 'I2', `${this.name}: gaps outside of the range`);
    same([record.messages, record.inputHash], [messages, hash], 'I7', `${this.name}: its input`);
    holds(record.to.sequenceNumber >= sequenceNumber, 'I4', () => `${this.name} goes back`);
  }

  /** True when this event was dead-lettered unprocessed; fails unless its workers were lost. */
  protected isQuarantined(
    record: CommitRecord,
    event: { sequenceNumber: number; index: number; isKilling: boolean },
  ): boolean {
    const { index, sequenceNumber } = event;
    const letter = record.deadLetters.find(
      (one) =>
        one.code === killedCode && one.sequenceNumber === sequenceNumber && one.index === index,
    );
    if (letter === undefined) return false;
    const last = this.#attempts.at(-1);
    const isAlone =
      last !== undefined && last.scope === 'events' && last.count === 1 && last.attempt >= 3;
    const place = `${this.name} ${sequenceNumber}.${index}`;
    holds(isAlone, 'I9', () => `${place} is quarantined after ${JSON.stringify(last)}`);
    holds(event.isKilling || this.context.wasLost(last.writer), 'I9', () => {
      return `${place} is quarantined as killing, but ${last.writer}, which tried it, is alive`;
    });
    this.quarantined.add(`${this.incarnation}/${sequenceNumber}/${index}`);
    return true;
  }
}
