import type { FaultKind } from './world/faults';

/** Leaves out one kind of fault after the other for as long as the run still fails. */
export async function shrink(
  kinds: readonly FaultKind[],
  fails: (kinds: readonly FaultKind[]) => Promise<boolean>,
): Promise<readonly FaultKind[]> {
  let needed = kinds;
  for (const kind of kinds) {
    const without = needed.filter((one) => one !== kind);
    if (await fails(without)) needed = without;
  }
  return needed;
}
