/**
 * Copies of a lake's data files beside the stack's data. Files of a table never change, so a copy is
 * good for ever; one whose file left the table long ago is deleted.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TableFile } from '../../shared/lake/table-reader';
import type { ObjectStore } from '../../shared/model/ports';

/** Other queries may be reading what has just left the table. */
const keepAfterLeavingMs = 60 * 60_000;
/** Bytes under way at once: what is copied is held in memory while it is. */
const bytesInFlightMax = 64 * 1024 * 1024;
const filesInFlightMax = 16;

export class FileCache {
  readonly #folder: string;
  readonly #lake: Pick<ObjectStore, 'get'>;
  readonly #underWay = new Set<string>();

  /** @param folder of this lake alone: names of files are unique within one lake only */
  constructor(lake: Pick<ObjectStore, 'get'>, folder: string) {
    this.#lake = lake;
    this.#folder = folder;
  }

  get folder(): string {
    return this.#folder;
  }

  /**
   * Copies what is not there yet.
   * @returns path of the copy, by the file's name in the store
   * @param copied called with each file that was copied, for progress
   */
  async copies(
    table: string,
    files: readonly TableFile[],
    copied: (done: number, all: number) => void,
  ): Promise<ReadonlyMap<string, string>> {
    const folder = join(this.#folder, hash(table));
    mkdirSync(folder, { recursive: true });
    const there = new Set(readdirSync(folder));
    const paths = new Map(files.map((file) => [file.name, join(folder, copyName(file))]));
    const missing = files.filter((file) => !there.has(copyName(file)));
    let done = 0;
    await forEachBounded(missing, async (file) => {
      await this.#copy(file, paths.get(file.name) ?? '');
      done += 1;
      copied(done, missing.length);
    });
    this.#forget(folder, new Set(files.map(copyName)), there);
    return paths;
  }

  /** Takes away what is half copied: for an end in the middle. */
  abandon(): void {
    for (const part of this.#underWay) rmSync(part, { force: true });
  }

  async #copy(file: TableFile, path: string): Promise<void> {
    const bytes = await this.#lake.get(file.name);
    if (bytes === undefined) {
      throw new Error(
        `the file ${file.name} of the table is gone: if the table was compacted or reset just now, ask again; otherwise restore the blob`,
      );
    }
    if (bytes.byteLength !== file.bytes) {
      throw new Error(
        `the file ${file.name} has ${bytes.byteLength} bytes, the table's log says ${file.bytes}: it was cut or replaced; restore the blob`,
      );
    }
    const part = `${path}.${process.pid}.part`;
    this.#underWay.add(part);
    try {
      writeFileSync(part, bytes);
      renameSync(part, path);
    } finally {
      rmSync(part, { force: true });
      this.#underWay.delete(part);
    }
  }

  #forget(folder: string, live: ReadonlySet<string>, there: ReadonlySet<string>): void {
    for (const name of there) {
      if (live.has(name)) continue;
      const path = join(folder, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const usedAtMs = Math.max(stats.mtimeMs, stats.atimeMs);
      if (Date.now() - usedAtMs > keepAfterLeavingMs) rmSync(path, { force: true });
    }
  }
}

/** Name, size and time: after a reset another file may have the same name. */
function copyName({ add, bytes, name }: TableFile): string {
  const extension = /\.(parquet|json\.gz|json|ndjson\.gz|ndjson|gz)$/.exec(name)?.[0] ?? '';
  return `${hash(JSON.stringify([name, bytes, add.modificationTime]))}${extension}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 40);
}

/** Several at once, within bounds on their number and bytes; the first failure ends it. */
async function forEachBounded(
  files: readonly TableFile[],
  work: (file: TableFile) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let bytes = 0;
  for (const file of files) {
    while (
      running.size > 0 &&
      (running.size >= filesInFlightMax || bytes + file.bytes > bytesInFlightMax)
    ) {
      await Promise.race(running);
    }
    bytes += file.bytes;
    const one: Promise<void> = work(file).finally(() => {
      bytes -= file.bytes;
      running.delete(one);
    });
    running.add(one);
    // Awaited below or by the race; until then a failure is not unhandled.
    one.catch(() => undefined);
  }
  await Promise.all(running);
}
