import type { CommitRecord, HeaderRecord, LogRecord } from '../model/commit';
import type { AppendStore } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { corruptLog } from './corruption';
import { generationName } from './names';
import { decodeRecords, trailerBytes } from './record';

/** The end of a generation: what its last commit says, and what came after it. */
export interface LogTail {
  /** Bytes of the blob. */
  readonly position: number;
  /** Its last commit or, before there is one, its header. */
  readonly last: CommitRecord | HeaderRecord;
  /** Attempts, plans and a seal, oldest first. */
  readonly since: readonly LogRecord[];
}

/** Read at first: holds most records with what may follow them. */
const tailBytes = 64 * 1024;

/**
 * Reads a generation backwards from its end, as far as its last commit, and no further.
 * @param bytesKnown its length when somebody looked last; it may have grown
 * @returns null where there is no such blob, or an empty one
 * @throws StreamError as TaskLog does
 */
export async function readTail(
  appends: AppendStore,
  at: { readonly path: TaskAddress; readonly generation: number; readonly bytesKnown: number },
): Promise<LogTail | null> {
  const blob = generationName(at.path, at.generation);
  let from = Math.max(0, at.bytesKnown - tailBytes);
  for (;;) {
    const bytes = await appends.readFrom(blob, from);
    if (bytes === undefined || (bytes.byteLength === 0 && from === 0)) return null;
    const read = backwards(bytes, { blob, position: from });
    if (typeof read !== 'number') return read;
    from = read;
  }
}

/** The tail, or the position from which on more must be read to find it. */
function backwards(
  bytes: Uint8Array,
  source: { readonly blob: string; readonly position: number },
): LogTail | number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const since: LogRecord[] = [];
  const position = source.position + buffer.length;
  for (let end = buffer.length; ;) {
    if (end < trailerBytes) return earlier(source, end, tailBytes);
    const length = buffer.readUInt32BE(end - trailerBytes);
    const start = end - length;
    if (start < 0) return earlier(source, end, length);
    const place = { blob: source.blob, position: source.position + start };
    const records = length === 0 ? [] : decodeRecords(buffer.subarray(start, end), place);
    const record = records[0]?.record;
    if (record === undefined || records.length > 1) {
      throw corruptLog(place, `its end says that a record of ${length} bytes is before it`);
    }
    if (record.kind === 'commit' || record.kind === 'header') {
      return { position, last: record, since: since.reverse() };
    }
    since.push(record);
    end = start;
  }
}

function earlier(
  { blob, position }: { readonly blob: string; readonly position: number },
  end: number,
  bytes: number,
): number {
  const from = position + end - bytes;
  if (from >= 0) return from;
  if (position > 0 && bytes === tailBytes) return 0;
  throw corruptLog(
    { blob, position: position + end },
    `its end says that a record of ${bytes} bytes is before it, there are ${position + end}`,
  );
}
