import type { Promotion } from '../model/commit';
import type { HostCheckpoints, HubReader, Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { lossOf } from './promotion';

/**
 * After a hub was deleted and created again, or was promoted, the host still has checkpoints of the hub before. Where
 * one lies beyond the new hub's end the service refuses to read from it, so the trigger stands still
 * until as many messages have come again (azure-sdk-for-net#53741). Without it the host begins at the
 * first message, and what is committed already is dropped as a duplicate.
 *
 * A checkpoint that cannot be looked at is said and left: input is read without the trigger meanwhile.
 */
export async function forgetStaleCheckpoint(options: {
  readonly address: TaskAddress;
  readonly checkpoints: HostCheckpoints | null;
  readonly hub: HubReader;
  readonly telemetry: Telemetry;
}): Promise<void> {
  const { address, checkpoints, hub, telemetry } = options;
  if (checkpoints === null) return;
  try {
    const checkpoint = await checkpoints.read(address.partition);
    if (checkpoint === undefined) return;
    // Asked for after the checkpoint: what a host of this hub has read is in the hub by now.
    const { lastSequenceNumber } = await hub.bounds(address.partition);
    if (checkpoint.sequenceNumber <= lastSequenceNumber) return;
    if ((await checkpoints.forget(address.partition, checkpoint)) === 'changed') return;
    telemetry.emit('warn', 'task.checkpoint-forgotten', {
      ...address,
      checkpoint: checkpoint.sequenceNumber,
      lastSequenceNumber,
    });
  } catch (error) {
    telemetry.emit('warn', 'task.checkpoint-unread', { ...address, error: String(error) });
  }
}

/** A life begins in a hub that was promoted: says what was lost, and lets go of the checkpoint of before. */
export async function tellPromotion(
  services: Omit<Parameters<typeof forgetStaleCheckpoint>[0], 'address'>,
  address: TaskAddress,
  promotion: Promotion | null,
): Promise<void> {
  if (promotion === null || promotion.isDeclared) return;
  services.telemetry.emit('error', 'task.gap', { ...address, ...lossOf(promotion) });
  await forgetStaleCheckpoint({ ...services, address });
}
