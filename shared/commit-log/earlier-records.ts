import type { LogRecord } from '../model/commit';
import type { AppendStore } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { corruptLog } from './corruption';
import { Generation } from './generation';
import { assertFollows } from './log-reader';

/**
 * The records from a generation's base on that are in generations before it, oldest first. Blobs are read
 * side by side.
 * @throws StreamError STREAM_LOG_CORRUPT where one is missing, open, or not what the next one follows
 */
export async function readEarlierRecords(
  { appends, path }: { readonly appends: AppendStore; readonly path: TaskAddress },
  current: Generation,
): Promise<readonly LogRecord[]> {
  const { base } = current;
  const first = base?.generation ?? 0;
  const numbers = Array.from({ length: current.number - first }, (_, n) => first + n);
  const blobs = await Promise.all(
    numbers.map(async (number) => {
      const generation = new Generation(path, number);
      if (number === first) generation.position = base?.position ?? 0;
      const bytes = await appends.readFrom(generation.name, generation.position);
      return { generation, bytes };
    }),
  );
  const records: LogRecord[] = [];
  let before: Generation | null = null;
  for (const { bytes, generation } of blobs) {
    const place = { blob: generation.name, position: generation.position };
    if (bytes === undefined) throw corruptLog(place, 'it is missing, and a later one builds on it');
    const read = generation.takeIn(bytes);
    if (generation.end !== 'sealed') throw corruptLog(place, 'it is open, and another follows');
    assertFollows(before, generation);
    for (const record of read) records.push(record);
    before = generation;
  }
  assertFollows(before, current);
  return records;
}
