import {
  addLedgers,
  compareCursors,
  emptyLedger,
  type CommitRecord,
  type Cursor,
  type HeaderRecord,
  type LedgerCounts,
  type LogRecord,
  type SnapshotBase,
  type TaskPlan,
} from '../model/commit';
import { corruptLog, type LogPlace } from './corruption';
import { generationName } from './names';
import { assertVersion, decodeRecords, type PlacedRecord } from './record';
import type { TaskAddress } from '../model/task-address';

/** How a generation ends, as far as it was read. */
export type GenerationEnd = 'open' | 'sealed' | 'final';

/** Where the records read so far leave a task. Null: nothing that was read says it. */
interface Place {
  readonly commit: number | null;
  readonly cursor: Cursor | null;
  /** Of all commits so far. */
  readonly ledger: LedgerCounts | null;
}

/**
 * What was read of one generation: a place in it and what that place implies. The records of a
 * generation are a header, then commits, attempts and plans, then at most one seal. Commits follow each
 * other without a gap in their numbers and in what they read, and an attempt begins where the log
 * stands: so a record that is missing, doubled or out of place is found, though its bytes are sound.
 */
export class Generation {
  readonly number: number;
  readonly name: string;
  /** Bytes and records read. */
  position = 0;
  blocks = 0;
  end: GenerationEnd = 'open';
  /** The last commit seen here or, before there is one, in the generation before. */
  lastCommit = 0;
  /** Who ended the log or this generation; null: nobody has. */
  sealedBy: string | null = null;
  /** The last commit before the generation; null: its header was not read. */
  afterCommit: number | null = null;
  /** What the header says that the task's state is made of. */
  base: SnapshotBase | null = null;
  /** The newest plan that the log has named here, or when this generation was begun. */
  plan: TaskPlan | null = null;
  #place: Place = { commit: null, cursor: null, ledger: null };
  /** Time of the first record after the header; null before there is one. */
  firstWriteMs: number | null = null;

  constructor(path: TaskAddress, number: number) {
    this.number = number;
    this.name = generationName(path, number);
  }

  /** False while `lastCommit` stands for none: this was read from the middle. */
  get isCommitKnown(): boolean {
    return this.#place.commit !== null;
  }

  /**
   * Moves on over bytes that begin at `position`.
   * @throws StreamError STREAM_LOG_CORRUPT, STREAM_LOG_VERSION_UNKNOWN; nothing is taken in then
   */
  takeIn(bytes: Uint8Array): readonly LogRecord[] {
    const placed = decodeRecords(bytes, { blob: this.name, position: this.position });
    this.#check(placed);
    for (const { end, record } of placed) this.moveOver(record, end);
    return placed.map(({ record }) => record);
  }

  /** Moves on over one record that is known to be at `position`. */
  moveOver(record: LogRecord, end: number): void {
    this.position = end;
    this.blocks += 1;
    this.#place = placeAfter(this.#place, record);
    switch (record.kind) {
      case 'header':
        this.lastCommit = record.afterCommit;
        this.afterCommit = record.afterCommit;
        this.base = record.base;
        this.plan = record.plan;
        break;
      case 'commit':
        this.lastCommit = record.commit;
        this.firstWriteMs ??= record.committedAtMs;
        break;
      case 'attempt':
        this.firstWriteMs ??= record.startedAtMs;
        break;
      case 'plan':
        this.plan = record.plan;
        this.firstWriteMs ??= record.writtenAtMs;
        break;
      case 'seal':
        this.end = record.isFinal ? 'final' : 'sealed';
        this.sealedBy = record.writer;
        break;
    }
  }

  #check(placed: readonly PlacedRecord[]): void {
    let position = this.position;
    let end = this.end;
    let task = this.#place;
    for (const { end: next, record } of placed) {
      const place = { blob: this.name, position };
      if (end !== 'open') throw corruptLog(place, `a ${record.kind} follows the seal`);
      if ((position === 0) !== (record.kind === 'header')) {
        throw corruptLog(
          place,
          `a ${record.kind} is where ${position === 0 ? 'the header' : 'no header'} belongs`,
        );
      }
      if (record.kind === 'header') this.#checkHeader(record, place);
      if (record.kind === 'commit' && record.summary.generation !== this.number) {
        const { generation } = record.summary;
        throw corruptLog(place, `commit ${record.commit} belongs to generation ${generation}`);
      }
      const fault = faultAfter(task, record);
      if (fault !== null) throw corruptLog(place, fault);
      if (record.kind === 'seal') end = 'sealed';
      task = placeAfter(task, record);
      position = next;
    }
  }

  #checkHeader(header: HeaderRecord, place: LogPlace): void {
    assertVersion(header.formatVersion, place);
    const { afterCommit, base, generation, summary } = header;
    if (generation !== this.number) {
      throw corruptLog(place, `the header is that of generation ${generation}`);
    }
    if ((summary?.commit ?? 0) !== afterCommit) {
      throw corruptLog(place, `the header's summary is not that of commit ${afterCommit}`);
    }
    if (base === null ? afterCommit > 0 && generation === 0 : base.commit > afterCommit) {
      throw corruptLog(place, `the header has no snapshot of what it begins with`);
    }
    if ((base?.generation ?? 0) > generation) {
      throw corruptLog(place, `the header's snapshot is read on from a later generation`);
    }
  }
}

function placeAfter(place: Place, record: LogRecord): Place {
  switch (record.kind) {
    case 'header': {
      const { afterCommit, summary } = record;
      const ledger = summary?.ledger ?? emptyLedger;
      return { commit: afterCommit, cursor: summary?.cursor ?? null, ledger };
    }
    case 'commit':
      return { commit: record.commit, cursor: record.to, ledger: record.summary.ledger };
    case 'attempt':
    case 'plan':
    case 'seal':
      return place;
    default:
      return record satisfies never;
  }
}

/** Why a record cannot follow what was read before it; null: it can. */
function faultAfter(place: Place, record: LogRecord): string | null {
  const { commit, cursor } = place;
  const after = afterOf(place);
  switch (record.kind) {
    case 'header':
    case 'plan':
      return null;
    case 'commit':
      return commitFault(place, record);
    case 'attempt':
      return cursor !== null && compareCursors(record.from, cursor) !== 0
        ? `an attempt begins at ${at(record.from)}, ${after} ended at ${at(cursor)}`
        : null;
    case 'seal':
      return commit !== null && record.afterCommit !== commit
        ? `the seal stands after commit ${record.afterCommit}, the log ends with ${after}`
        : null;
    default:
      return record satisfies never;
  }
}

function commitFault(place: Place, record: CommitRecord): string | null {
  const { commit, cursor, ledger } = place;
  const after = afterOf(place);
  if (commit !== null && record.commit !== commit + 1) {
    return `commit ${record.commit} follows ${after}: a record is missing, doubled or out of place`;
  }
  if (cursor !== null && compareCursors(record.from, cursor) !== 0) {
    return `commit ${record.commit} begins at ${at(record.from)}, ${after} ended at ${at(cursor)}`;
  }
  if (compareCursors(record.to, record.from) < 0) {
    return `commit ${record.commit} ends at ${at(record.to)}, before it begins at ${at(record.from)}`;
  }
  const total = ledger === null ? record.summary.ledger : addLedgers(ledger, record.ledger);
  return isSameLedger(total, record.summary.ledger)
    ? null
    : `the ledger of commit ${record.commit} does not add up to that of all commits`;
}

function isSameLedger(left: LedgerCounts, right: LedgerCounts): boolean {
  return (
    left.read === right.read &&
    left.emitted === right.emitted &&
    left.filtered === right.filtered &&
    left.late === right.late &&
    left.deadLettered === right.deadLettered &&
    left.gap === right.gap
  );
}

function afterOf({ commit }: Place): string {
  return commit === 0 ? 'the beginning' : `commit ${commit}`;
}

function at({ index, sequenceNumber }: Cursor): string {
  return `${sequenceNumber}.${index}`;
}
