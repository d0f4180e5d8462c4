import { crc32 } from 'node:zlib';
import type { TaskAddress } from '../model/task-address';
import { serviceBlocksMax } from './full-log';
import { logPrefix } from './names';
import type { TaskLogLimits } from './task-log-options';

/** How far a task's limits may be from those that are set. */
const jitterShare = 0.2;
const jitterSteps = 1_000;
/** Blocks that are kept for what workers append before they see that the log must roll. */
const blocksKept = 2_000;

/**
 * The limits of one task's log: those of blocks and age differ by up to a fifth from task to task, and never
 * for one task. Tasks that began together would else all roll, and write their snapshots, at once.
 */
export function limitsOf(address: TaskAddress, limits: TaskLogLimits): TaskLogLimits {
  const step = crc32(logPrefix(address)) % (jitterSteps + 1);
  const factor = 1 - jitterShare + (2 * jitterShare * step) / jitterSteps;
  const blocksMost = Math.max(limits.blocksMax, serviceBlocksMax - blocksKept);
  return {
    ...limits,
    blocksMax: Math.min(blocksMost, Math.max(1, Math.round(limits.blocksMax * factor))),
    ageMaxMs: limits.ageMaxMs * factor,
  };
}
