import { prices } from './prices';

/** The busiest second, and what came in all. */
export interface HubLoad {
  readonly peakBytesIn: number;
  readonly peakMessagesIn: number;
  readonly peakBytesOut: number;
  readonly peakMessagesOut: number;
  readonly messages: number;
  readonly messageBytes: number;
  readonly partitions: number;
  readonly hours: number;
}

export interface TierNeed {
  readonly tier: 'standard' | 'premium' | 'dedicated';
  readonly unit: 'TU' | 'PU' | 'CU';
  readonly units: number;
  /** Why the tier cannot carry it; null: it can. */
  readonly obstacle: string | null;
  readonly usd: number;
}

const megabyte = 1_000_000;
const billedMessageBytes = 64 * 1024;

const standard = {
  bytesIn: megabyte,
  messagesIn: 1_000,
  bytesOut: 2 * megabyte,
  messagesOut: 4_096,
  unitsMax: 40,
  partitionsMax: 32,
};
/** Nothing is promised per unit: published rules of thumb, the cautious end of each. */
const premium = { bytesIn: 5 * megabyte, bytesOut: 10 * megabyte, partitionsMax: 100 };
const premiumUnits = [1, 2, 4, 8, 12, 16];
const dedicated = {
  bytesIn: 100 * megabyte,
  bytesOut: 200 * megabyte,
  unitsMax: 20,
  partitionsMax: 1_024,
};
/** No tier takes a larger message. */
const messageBytesMax = 1_048_576;

/** Units that each tier of Event Hubs needs for the busiest second, and what they cost all along. */
export function tierNeeds(load: HubLoad): readonly TierNeed[] {
  return [standardNeed(load), premiumNeed(load), dedicatedNeed(load)];
}

function standardNeed(load: HubLoad): TierNeed {
  const units = atLeastOne(
    load.peakBytesIn / standard.bytesIn,
    load.peakMessagesIn / standard.messagesIn,
    load.peakBytesOut / standard.bytesOut,
    load.peakMessagesOut / standard.messagesOut,
  );
  const billed = load.messages * Math.max(1, Math.ceil(load.messageBytes / billedMessageBytes));
  return {
    tier: 'standard',
    unit: 'TU',
    units,
    obstacle: obstacleOf(load, { ...standard, units, unit: 'TU' }),
    usd:
      units * load.hours * prices.standardThroughputUnit.usd +
      (billed / 1e6) * prices.standardIngress.usd,
  };
}

function premiumNeed(load: HubLoad): TierNeed {
  const needed = atLeastOne(
    load.peakBytesIn / premium.bytesIn,
    load.peakBytesOut / premium.bytesOut,
  );
  const units = premiumUnits.find((size) => size >= needed) ?? needed;
  const unitsMax = premiumUnits.at(-1) ?? 0;
  return {
    tier: 'premium',
    unit: 'PU',
    units,
    obstacle: obstacleOf(load, { ...premium, units, unit: 'PU', unitsMax }),
    usd: units * load.hours * prices.premiumProcessingUnit.usd,
  };
}

function dedicatedNeed(load: HubLoad): TierNeed {
  const units = atLeastOne(
    load.peakBytesIn / dedicated.bytesIn,
    load.peakBytesOut / dedicated.bytesOut,
  );
  return {
    tier: 'dedicated',
    unit: 'CU',
    units,
    obstacle: obstacleOf(load, { ...dedicated, units, unit: 'CU' }),
    usd: units * load.hours * prices.dedicatedCapacityUnit.usd,
  };
}

function atLeastOne(...needs: readonly number[]): number {
  return Math.max(1, ...needs.map((need) => Math.ceil(need - 1e-9)));
}

function obstacleOf(
  load: HubLoad,
  tier: {
    readonly units: number;
    readonly unit: string;
    readonly unitsMax: number;
    readonly partitionsMax: number;
  },
): string | null {
  if (load.messageBytes > messageBytesMax) {
    return `a message of ${load.messageBytes} bytes is over ${messageBytesMax}`;
  }
  if (load.partitions > tier.partitionsMax) {
    return `${load.partitions} partitions are over ${tier.partitionsMax}`;
  }
  if (tier.units > tier.unitsMax) return `${tier.units} ${tier.unit} are over ${tier.unitsMax}`;
  return null;
}
