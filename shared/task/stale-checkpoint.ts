import type { HostCheckpoints, HubReader, Telemetry } from '../model/ports';
import type { TaskAddress } from '../model/task-address';

/**
 * After a hub was deleted and created again, the host still has checkpoints of the hub before. Where
 * one lies beyond the new hub's end the service refuses to read from it, so the trigger stands still
 * until as many messages have come again (azure-sdk-for-net#53741). Without it the host begins at the
 * first message, and what is committed already is dropped as a duplicate.
 *
 * A checkpoint that cannot be looked at is said and left: input is read without the trigger meanwhile.
 */
export async function forgetStaleCheckpoint(options: {
  readonly address: TaskAddress;
  readonly checkpoints: HostCheckpoints;
  readonly hub: HubReader;
  readonly telemetry: Telemetry;
}): Promise<void> {
  const { address, checkpoints, hub, telemetry } = options;
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
