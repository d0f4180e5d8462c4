import type { LogRecord } from '../model/commit';
import { corruptLog } from './corruption';
import { generationName, type LogPath } from './names';
import { decodeRecords, type PlacedRecord } from './record';

/** How a generation ends, as far as it was read. */
export type GenerationEnd = 'open' | 'sealed' | 'final';

/**
 * What was read of one generation: a place in it and what that place implies. The records of a
 * generation are a header, then commits and attempts, then at most one seal.
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
  /** Time of the first record that has one; null before there is one. */
  firstWriteMs: number | null = null;

  constructor(path: LogPath, number: number) {
    this.number = number;
    this.name = generationName(path, number);
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
        break;
    }
  }

  #check(placed: readonly PlacedRecord[]): void {
    let position = this.position;
    let end = this.end;
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
      if (record.kind === 'seal') end = 'sealed';
      position = next;
    }
  }
}
