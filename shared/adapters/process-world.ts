import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Clock, Randomness } from '../model/ports';

/** This machine's clock and chance. */
export const systemClock: Clock = { nowMs: () => Date.now() };
export const systemRandomness: Randomness = { uniqueId: () => randomUUID() };

/** Names this process in records, and no other. */
export function processName(): string {
  return `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
}

/** What this process's heap may grow to, in bytes (Node's --max-old-space-size, or what it found fit). */
export function heapBytesMax(): number {
  return getHeapStatistics().heap_size_limit;
}
