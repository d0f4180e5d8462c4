/** Who holds a partition, as a checkpoint store has it (the SDK's PartitionOwnership has these too). */
export interface Holding {
  readonly partitionId: string;
  /** Empty: given back. */
  readonly ownerId: string;
  readonly lastModifiedTimeInMs?: number;
}

export interface BalancingFacts<Kept extends Holding> {
  readonly partitionIds: readonly string[];
  readonly holdings: readonly Kept[];
  readonly ownerId: string;
  readonly expirationMs: number;
  readonly nowMs: number;
  /** From 0 to 1: which of several equal partitions. */
  readonly random: () => number;
}

export interface Balancing<Kept extends Holding> {
  /** Ours, expired or not: nobody else took them. */
  readonly ours: readonly Kept[];
  /** The one partition to claim now, or null: this owner has its share. */
  readonly claim: string | null;
}

/**
 * One step of load balancing, as .NET's event processor takes it (PartitionLoadBalancer). Fair is: every
 * owner holds n or n + 1 partitions. An owner below n, or at n with nobody below it, claims one
 * partition: a free one (never held, given back, expired) before one of an owner that holds more than
 * n + 1; and below n also one of an owner that holds n + 1. Greedy is to take the next step at once
 * while steps claim something.
 */
export function balance<Kept extends Holding>(facts: BalancingFacts<Kept>): Balancing<Kept> {
  const { expirationMs, holdings, nowMs, ownerId, partitionIds } = facts;
  const ours = holdings.filter((holding) => holding.ownerId === ownerId);
  const isHeld = (holding: Kept): boolean =>
    holding.ownerId !== '' && nowMs - (holding.lastModifiedTimeInMs ?? -Infinity) < expirationMs;
  const held = new Map<string, string[]>([[ownerId, []]]);
  for (const holding of [...ours, ...holdings.filter((one) => one.ownerId !== ownerId)]) {
    if (holding.ownerId !== ownerId && !isHeld(holding)) continue;
    held.set(holding.ownerId, [...(held.get(holding.ownerId) ?? []), holding.partitionId]);
  }
  return { ours, claim: pick(claimable(held, ownerId, partitionIds), facts.random) };
}

function claimable(
  held: ReadonlyMap<string, readonly string[]>,
  ownerId: string,
  partitionIds: readonly string[],
): readonly string[] {
  const share = Math.floor(partitionIds.length / held.size);
  const own = held.get(ownerId)?.length ?? 0;
  const isAnyoneBelow = Array.from(held.values()).some(({ length }) => length < share);
  if (own > share || (own === share && isAnyoneBelow)) return [];
  const taken = new Set(Array.from(held.values()).flat());
  const free = partitionIds.filter((id) => !taken.has(id));
  if (free.length > 0) return free;
  const others = Array.from(held)
    .filter(([owner]) => owner !== ownerId)
    .map(([, partitions]) => partitions);
  const above = others.filter(({ length }) => length > share + 1).flat();
  if (above.length > 0) return above;
  return own < share ? others.filter(({ length }) => length === share + 1).flat() : [];
}

function pick(partitionIds: readonly string[], random: () => number): string | null {
  return partitionIds[Math.floor(random() * partitionIds.length)] ?? null;
}
