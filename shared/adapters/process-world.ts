import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock, Randomness } from '../model/ports';

/** This machine's clock and chance. */
export const systemClock: Clock = { nowMs: () => Date.now() };
export const systemRandomness: Randomness = { uniqueId: () => randomUUID() };

/** Names this process in records, and no other. */
export function processName(): string {
  return `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
}
