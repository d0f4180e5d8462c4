import { askScaler } from '../../local/scaler/control';
import type { ScalerState } from '../../local/scaler/scaler';
import { parseWorkerWish, type WorkerRange } from '../../local/scaler/worker-range';
import { WrongUse } from '../arguments';
import type { Output } from '../output';
import type { Scaling } from '../stack';

/** What `start` and `demo` are told about scaling. */
export interface ScaleFlags {
  readonly workers: number;
  readonly scale?: WorkerRange;
  readonly scaleIntervalMs: number;
  readonly scaleHoldMs: number;
}

/** How a stack scales. With a range it begins with the fewest. */
export function scalingOf(flags: ScaleFlags): {
  readonly workers: number;
  readonly scaling: Scaling;
} {
  return {
    workers: flags.scale?.min ?? flags.workers,
    scaling: {
      range: flags.scale ?? null,
      pace: { voteIntervalMs: flags.scaleIntervalMs, scaleInHoldMs: flags.scaleHoldMs },
    },
  };
}

/** Tells the running stack how many workers it shall have, or shows how many it has and why. */
export async function scale(
  options: { readonly to: string | undefined; readonly dataDirectory: string },
  output: Output,
): Promise<void> {
  if (options.to !== undefined && options.to !== 'auto') assertRange(options.to);
  if (options.to !== undefined) output.say('Workers come and go; those that go drain first …');
  const request = options.to === undefined ? null : { to: options.to };
  const state = await askScaler(options.dataDirectory, request);
  output.result(state, describe(state));
}

function assertRange(text: string): void {
  try {
    parseWorkerWish(text);
  } catch (error) {
    throw new WrongUse(error instanceof Error ? error.message : String(error));
  }
}

function describe(state: ScalerState): string {
  const { fault, mode, range, triggers, wanted, workers } = state;
  const how = mode === 'manual' ? 'by hand' : `automatic, ${range.min} to ${range.max}`;
  const wish = wanted === workers ? '' : `, ${wanted} wanted`;
  const lines = [`${workers} worker(s)${wish} (${how})`];
  if (wanted === 0)
    lines.push('  nothing is read and no HTTP function answers: scale 1 brings them back');
  for (const trigger of triggers) {
    const { desired, functionName, isHeld, partitions, target, unprocessed } = trigger;
    const hold = isHeld ? ', scale-in held back' : '';
    lines.push(
      `  ${functionName}: ${unprocessed} unprocessed in ${partitions} partitions: ` +
        `${desired} desired, target ${target}${hold}`,
    );
  }
  if (triggers.length === 0) lines.push('  no vote yet');
  if (fault !== null) lines.push(`  the last vote failed: ${fault}`);
  return lines.join('\n');
}
