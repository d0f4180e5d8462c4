import type { SurveyedStage } from '../../../supervision/survey/surveyor';
import { sideBySide } from './side-by-side';

/**
 * Deletes the host's checkpoints of sources that are to be read again. A host that starts gives its trigger what
 * comes behind its checkpoint, and scalers count from there: else recovery alone would read all of it. A host that
 * runs goes on where it is, and may write its checkpoint again: it is a hint, as ever.
 */
export async function forgetHostCheckpoints(
  stages: readonly SurveyedStage[],
  beat: () => Promise<void>,
): Promise<void> {
  for (const { plan, services } of stages) {
    const { checkpoints, hub } = services;
    if (checkpoints === null || plan.input.kind !== 'source') continue;
    const { partitionIds } = await hub.describe();
    await sideBySide(partitionIds, async (partition) => {
      await beat();
      const checkpoint = await checkpoints.read(partition);
      if (checkpoint !== undefined) await checkpoints.forget(partition, checkpoint);
    });
  }
}
