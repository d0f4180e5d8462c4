import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the host grants where host.json says nothing: the Consumption plan's, the shortest. */
const defaultTimeoutMs = 5 * 60 * 1000;
/** At this share of the time-out a batch stops at an event boundary and commits what it has. */
const deadlineShare = 0.8;

/** Milliseconds a batch may take: 80 % of host.json's functionTimeout. */
export function batchTimeMs(appDirectory: string): number {
  const host = JSON.parse(readFileSync(join(appDirectory, 'host.json'), 'utf8')) as {
    functionTimeout?: string;
  };
  const match = /^(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(host.functionTimeout ?? '');
  if (match === null) return defaultTimeoutMs * deadlineShare;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0'] = match;
  const total = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return total * 1000 * deadlineShare;
}
