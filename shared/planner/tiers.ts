import type { Plan } from './plan';

export const tierNames = ['basic', 'standard', 'premium', 'dedicated'] as const;
export type TierName = (typeof tierNames)[number];

/** What a tier of Event Hubs allows, as "Azure Event Hubs quotas and limits" has it. */
interface Tier {
  /** Of a namespace; on Premium and Dedicated for each unit that is bought. */
  readonly hubsMax: number;
  readonly partitionsMax: number;
  /** Of one hub. */
  readonly consumerGroupsMax: number;
  readonly throughput: string;
}

const tiers: Readonly<Record<TierName, Tier>> = {
  basic: {
    ...{ hubsMax: 10, partitionsMax: 32, consumerGroupsMax: 1 },
    throughput: 'a throughput unit takes in 1 MB/s or 1,000 messages/s and gives out 2 MB/s',
  },
  standard: {
    ...{ hubsMax: 10, partitionsMax: 32, consumerGroupsMax: 20 },
    throughput:
      'a throughput unit takes in 1 MB/s or 1,000 messages/s and gives out 2 MB/s; 40 at most',
  },
  premium: {
    ...{ hubsMax: 100, partitionsMax: 100, consumerGroupsMax: 100 },
    throughput: 'a processing unit takes in 5 to 10 MB/s; hubs and partitions are for each of them',
  },
  dedicated: {
    ...{ hubsMax: 1_000, partitionsMax: 1_024, consumerGroupsMax: 1_000 },
    throughput: 'a capacity unit is a cluster of its own; hubs and partitions are for each of them',
  },
};

/** More than the scale controller of a function app looks after. */
const functionsMax = 100;

export interface Fit {
  readonly tier: TierName;
  /** What is used of what is allowed, a line each. */
  readonly lines: readonly string[];
  /** What the tier does not allow; empty: the plan fits. */
  readonly exceeded: readonly string[];
}

/** Compares a plan with what one namespace of a tier, and one function app, can hold. */
export function fitTo(plan: Plan, tier: TierName): Fit {
  const { consumerGroupsMax, hubsMax, partitionsMax, throughput } = tiers[tier];
  const exceeded: string[] = [];
  const check = (used: number, allowed: number, what: string, cure: string): void => {
    if (used <= allowed) return;
    exceeded.push(`${what}: ${used}, ${tier} allows ${allowed.toLocaleString('en')}: ${cure}`);
  };
  check(
    plan.hubs.length,
    hubsMax,
    'hubs of the namespace',
    'leave out a keyBy, or deploy some of the topologies into another namespace',
  );
  for (const { consumerGroups, name, partitionCount } of plan.hubs) {
    check(partitionCount, partitionsMax, `partitions of hub ${name}`, 'take fewer');
    check(
      consumerGroups.length,
      consumerGroupsMax,
      `consumer groups of hub ${name}`,
      'let fewer topologies read it, or take a higher tier',
    );
  }
  check(
    plan.stages.length,
    functionsMax,
    'functions with a trigger in one app',
    'deploy some of the topologies as another app',
  );
  const groups = plan.hubs.map(({ consumerGroups }) => consumerGroups.length);
  const partitions = plan.hubs.map(({ partitionCount }) => partitionCount);
  return {
    tier,
    exceeded,
    lines: [
      `hubs              ${plan.hubs.length} of ${hubsMax.toLocaleString('en')}`,
      `partitions        at most ${Math.max(0, ...partitions)} of ${partitionsMax.toLocaleString('en')} in a hub`,
      `consumer groups   at most ${Math.max(0, ...groups)} of ${consumerGroupsMax.toLocaleString('en')} in a hub`,
      `functions         ${plan.stages.length} of ${functionsMax} in an app`,
      `throughput        ${throughput}; events that go through an exchange count again`,
    ],
  };
}
