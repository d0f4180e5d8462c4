import type { AppendStore } from '../../../shared/model/ports';
import { DecisionLog } from '../../../shared/supervision/decision-log';
import type { ToldTending } from '../world/supervision';
import { holds } from './invariants';

/** Every tending of which a worker said that it is written down can be asked for. */
export async function checkDecisions(
  told: readonly ToldTending[],
  appends: AppendStore,
): Promise<void> {
  const written = new Set<string>();
  const decisions = await new DecisionLog({ appends, clock: { nowMs: () => 0 } }).newest(Infinity);
  for (const { kind, ...decision } of decisions) {
    if (kind !== 'tended') continue;
    written.add(nameOf({ ...decision, result: decision.result ?? 'failed' }));
  }
  for (const one of told) {
    const name = nameOf(one);
    holds(written.has(name), 'I13', () => `no decision tells of ${name}`);
  }
}

function nameOf(told: ToldTending): string {
  const { attempt, cycle, functionName, partition, result, worker } = told;
  return `${functionName}/${partition} in cycle ${cycle}, attempt ${attempt}, by ${worker}: ${result}`;
}
