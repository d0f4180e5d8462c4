import type { Clock, ObjectStore, Randomness, Telemetry } from '../../shared/model/ports';
import type { TablePlan } from '../../shared/model/table';
import type { LakeTable, LakeTableOptions } from '../../shared/lake/lake-table';
import { openLakeTable } from '../../shared/lake/lake-table';

/** Objects in memory. Every call yields once, so that concurrent callers interleave. */
export class MemoryObjects implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await Promise.resolve();
    this.objects.set(name, Uint8Array.from(bytes));
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await Promise.resolve();
    if (this.objects.has(name)) return 'exists';
    this.objects.set(name, Uint8Array.from(bytes));
    return 'created';
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    await Promise.resolve();
    return this.objects.get(name);
  }

  async list(prefix: string): Promise<{ name: string; bytes: number }[]> {
    await Promise.resolve();
    return Array.from(this.objects, ([name, bytes]) => ({ name, bytes: bytes.length }))
      .filter(({ name }) => name.startsWith(prefix))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async delete(name: string): Promise<void> {
    await Promise.resolve();
    this.objects.delete(name);
  }

  text(name: string): string {
    return Buffer.from(this.objects.get(name) ?? []).toString('utf8');
  }

  names(part: string): string[] {
    return Array.from(this.objects.keys())
      .filter((name) => name.includes(part))
      .sort();
  }
}

export const flightsPlan: TablePlan = {
  name: 'flights',
  columns: [
    { name: 'id', type: 'string', nullable: false },
    { name: 'number', type: 'integer', nullable: true },
    { name: 'ratio', type: 'double', nullable: true },
    { name: 'late', type: 'boolean', nullable: true },
    { name: 'at', type: 'timestamp', nullable: true },
    { name: 'day', type: 'date', nullable: true },
  ],
  partitionBy: [],
  format: 'delta',
  flush: { rowsMax: 100_000, bytesMax: 64 * 1024 * 1024, ageMaxMs: 60_000 },
};

const silentTelemetry: Telemetry = { emit: () => undefined };

/** Counts up from a fixed time: what is written then depends on the test alone. */
function countingClock(): Clock {
  let nowMs = Date.UTC(2026, 0, 1);
  return { nowMs: () => (nowMs += 1) };
}

let ids = 0;
const countingRandomness: Randomness = { uniqueId: () => `id-${(ids += 1)}` };

export function openTestTable(
  objects: ObjectStore,
  options: Partial<LakeTableOptions> = {},
): LakeTable {
  return openLakeTable({
    objects,
    plan: flightsPlan,
    folder: 'tables/flights',
    clock: countingClock(),
    randomness: countingRandomness,
    telemetry: silentTelemetry,
    faultPoint: () => undefined,
    ...options,
  });
}
