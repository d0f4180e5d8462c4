/** What an operator must know at once: stages that stand still or sinks that are left alone, and why. */
import type { RunningInvocation } from '../local/functions-host/worker-process';
import { systemClock } from '../shared/adapters/process-world';
import { readSupervisorReport } from '../shared/supervision/supervisor-report';
import { lossText } from '../shared/task/promotion';
import type { Store } from './store';

export interface Trouble {
  /** In few words, for a status line. */
  readonly short: string;
  /** With its cause; a trouble that says the same is the same. */
  readonly text: string;
}

/** What was lost with a region stays in the ledger; as a trouble it is shown for so long. */
const lossShownMs = 10 * 60_000;
/** A function that works on one batch for longer than this may loop for ever: or half its time-out. */
const stuckAfterMs = 10_000;

/** Troubles that the store tells of. `functionNames`: those of today's plan. */
export async function readTroubles(
  store: Pick<Store, 'appends' | 'commits'>,
  functionNames: ReadonlySet<string>,
): Promise<readonly Trouble[]> {
  const world = { appends: store.appends, objects: store.commits, clock: systemClock };
  const report = await readSupervisorReport(world, { decisionsMax: 0 });
  const { breakers, halts, lifeSign, tasks } = report;
  const nowMs = systemClock.nowMs();
  return [
    ...halts
      .filter(({ functionName }) => functionNames.has(functionName))
      .map(({ code, functionName, message, partition }) => ({
        short: `HALTED ${functionName}/${partition} ${code}`,
        text: `HALTED ${functionName}/${partition}: ${message}`,
      })),
    ...breakers
      .filter(({ phase }) => phase !== 'closed')
      .map(({ error, name, sinceMs }) => ({
        short: `SINK OPEN ${name}`,
        text: `SINK OPEN ${name} since ${new Date(sinceMs).toISOString()}: ${error}`,
      })),
    ...(lifeSign?.troubles ?? [])
      .filter(({ isMarked }) => isMarked)
      .map(({ attempt, error, functionName, partition }) => ({
        short: `MARKED ${functionName}/${partition}`,
        text: `MARKED ${functionName}/${partition} after ${attempt} attempts: ${error}`,
      })),
    ...tasks.flatMap(({ functionName, partition, promotion }) => {
      if (promotion === null || nowMs - promotion.noticedAtMs >= lossShownMs) return [];
      const task = `${functionName}/${partition}`;
      return [{ short: `LOST ${task}: hub promoted`, text: lossText(task, promotion) }];
    }),
  ];
}

/** Functions that have been at one batch for long, from the host that runs them. */
export function stuckFunctions(
  host: {
    readonly running: readonly RunningInvocation[];
    readonly functionTimeoutMs: number;
  },
  nowMs: number,
): readonly Trouble[] {
  const afterMs = Math.min(stuckAfterMs, host.functionTimeoutMs / 2);
  return host.running.flatMap(({ details, functionName, startedAtMs }) => {
    const place = placeIn(details);
    if (place === null || nowMs - startedAtMs < afterMs) return [];
    const until = Math.round(host.functionTimeoutMs / 1_000);
    return [
      {
        short: `STUCK ${functionName} on ${place}`,
        text:
          `STUCK ${functionName} works on ${place} for over ${afterMs / 1_000} s: does its code ` +
          `loop for ever on one event? After ${until} s its worker is restarted, and the event is ` +
          'isolated as a dead letter within a few more attempts.',
      },
    ];
  });
}

/** Partition and sequence numbers out of the trigger's details; null: no batch of a hub. */
function placeIn(details: string | null): string | null {
  const partition = /PartionId: ([^,]+)/.exec(details ?? '')?.[1];
  const [, first, last] = /SequenceNumber: (\d+)(?:-(\d+))?/.exec(details ?? '') ?? [];
  if (partition === undefined || first === undefined) return null;
  const numbers =
    last === undefined || last === first ? `number ${first}` : `numbers ${first} to ${last}`;
  return `partition ${partition}, sequence ${numbers}`;
}
