import { compareCursors, type Cursor, type LogRecord } from '../model/commit';
import { corruptLog } from './corruption';
import { generationName, type LogPath } from './names';
import { decodeRecords, type PlacedRecord } from './record';

/** How a generation ends, as far as it was read. */
export type GenerationEnd = 'open' | 'sealed' | 'final';

/** Where the records read so far leave a task. Null: nothing that was read says it. */
interface Place {
  readonly commit: number | null;
  readonly cursor: Cursor | null;
}

/**
 * What was read of one generation: a place in it and what that place implies. The records of a
 * generation are a header, then commits and attempts, then at most one seal. Commits follow each
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
  #place: Place = { commit: null, cursor: null };
  /** Time of the first record that has one; null before there is one. */
  firstWriteMs: number | null = null;

  constructor(path: LogPath, number: number) {
    this.number = number;
    this.name = generationName(path, number);
  }

  /** False while `lastCommit` stands for none: this was read from the middle, or begins with state. */
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
        break;
      case 'commit':
        this.lastCommit = record.commit;
        this.firstWriteMs ??= record.committedAtMs;
        break;
      case 'attempt':
        this.firstWriteMs ??= record.startedAtMs;
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
      if (record.kind === 'header' && record.generation !== this.number) {
        throw corruptLog(place, `the header is that of generation ${record.generation}`);
      }
      const fault = faultAfter(task, record);
      if (fault !== null) throw corruptLog(place, fault);
      if (record.kind === 'seal') end = 'sealed';
      task = placeAfter(task, record);
      position = next;
    }
  }
}

function placeAfter(place: Place, record: LogRecord): Place {
  switch (record.kind) {
    case 'header': {
      // A log that begins with the state of an earlier one counts on from there: its snapshot knows.
      const isInherited = record.snapshot !== null && record.afterCommit === 0;
      return { commit: isInherited ? null : record.afterCommit, cursor: null };
    }
    case 'commit':
      return { commit: record.commit, cursor: record.to };
    case 'attempt':
    case 'seal':
      return place;
    default:
      return record satisfies never;
  }
}

/** Why a record cannot follow what was read before it; null: it can. */
function faultAfter({ commit, cursor }: Place, record: LogRecord): string | null {
  const after = commit === 0 ? 'the beginning' : `commit ${commit}`;
  switch (record.kind) {
    case 'header':
      return null;
    case 'commit':
      if (commit !== null && record.commit !== commit + 1) {
        return `commit ${record.commit} follows ${after}: a record is missing, doubled or out of place`;
      }
      if (cursor !== null && compareCursors(record.from, cursor) !== 0) {
        return `commit ${record.commit} begins at ${at(record.from)}, ${after} ended at ${at(cursor)}`;
      }
      return compareCursors(record.to, record.from) < 0
        ? `commit ${record.commit} ends at ${at(record.to)}, before it begins at ${at(record.from)}`
        : null;
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

function at({ index, sequenceNumber }: Cursor): string {
  return `${sequenceNumber}.${index}`;
}
