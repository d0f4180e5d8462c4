import {
  driftPatienceMs,
  lastSourceTimes,
  mayDrift,
  publishSourceTimes,
  readSourceTimes,
} from '../../task/source-drift';
import { aheadByMs, catchUpMs, sourceTimes } from '../../time/drift';
import { isTimeOver } from '../../time/exchange-time';
import type { StagePlan } from '../../model/program';
import type { StageServices } from '../../task/services';
import type { Need } from './assess';

interface SurveyedTask {
  readonly partition: string;
  readonly digest: { readonly committedAtMs: number; readonly watermarkMs: number | null };
  readonly lag: number;
  readonly needs: readonly Need[];
  readonly why: string;
}

/**
 * Publishes how far the source partitions of one page are, for those that must not run too far ahead, and takes
 * the recovery of these from what they need: their input waits because it is to wait.
 * @param before what the survey before this one saw of the page
 */
export async function withDrift<Task extends SurveyedTask>(
  { plan, services }: { readonly plan: StagePlan; readonly services: StageServices },
  page: { readonly page: number; readonly version: string },
  tasks: readonly Task[],
  before: readonly SurveyedTask[],
): Promise<readonly Task[]> {
  if (!mayDrift(plan)) return tasks;
  const isBacklog = (some: readonly SurveyedTask[]): boolean => some.some(({ lag }) => lag > 0);
  if (!isBacklog(tasks) && !isBacklog(before)) return tasks;
  const { clock, limits, objects } = services;
  const nowMs = clock.nowMs();
  const stuckSinceMs = nowMs - driftPatienceMs(limits);
  const place = { topology: plan.topology, version: page.version };
  const own = { ...place, stage: plan.name, page: page.page };
  const times = sourceTimes(
    plan.name,
    nowMs,
    tasks.map(({ digest: { committedAtMs, watermarkMs }, lag, partition }) => ({
      partition,
      lag,
      watermarkMs: isTimeOver(watermarkMs) ? null : watermarkMs,
      isStuck: committedAtMs < stuckSinceMs,
    })),
    await lastSourceTimes(objects, own),
  );
  await publishSourceTimes(objects, own, times);
  const all = await readSourceTimes(objects, place);
  return tasks.map((task) => {
    const aheadMs = aheadByMs(all, { stage: plan.name, partition: task.partition }, stuckSinceMs);
    if (aheadMs <= limits.maxDriftMs) return task;
    const why = `held back: ${Math.round(aheadMs / 1000)} s of event time ahead of where the slowest source partition will be in ${catchUpMs / 1000} s`;
    return {
      ...task,
      needs: task.needs.filter((need) => need !== 'recover'),
      why: [task.why, why].filter((text) => text !== '').join('; '),
    };
  });
}
