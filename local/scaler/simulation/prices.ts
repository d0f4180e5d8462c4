/**
 * List prices in US dollars, East US, without free grants, discounts or tax: the one place where
 * prices are. `weak`: from a third party, converted, or not confirmed by the price list itself.
 */
export interface Price {
  readonly usd: number;
  readonly per: string;
  readonly asOf: string;
  readonly source: string;
  readonly isWeak: boolean;
}

const retail = (usd: number, per: string): Price => ({
  usd,
  per,
  asOf: '2026-09',
  source: 'Azure Retail Prices API',
  isWeak: false,
});

export const prices = {
  flexOnDemand: retail(0.000026, 'GB-second with an execution'),
  flexAlwaysReadyBaseline: retail(0.000004, 'GB-second of an always-ready instance'),
  flexAlwaysReadyExecution: retail(
    0.000016,
    'GB-second with an execution, of an always-ready instance',
  ),
  flexExecutions: retail(0.4, 'million executions'),
  premiumCore: {
    usd: 0.173,
    per: 'vCPU-hour',
    asOf: '2024',
    source: 'Azure Functions price page, not confirmed since',
    isWeak: true,
  },
  premiumMemory: {
    usd: 0.0123,
    per: 'GB-hour',
    asOf: '2024',
    source: 'Azure Functions price page, not confirmed since',
    isWeak: true,
  },
  standardThroughputUnit: retail(0.03, 'TU-hour'),
  standardIngress: retail(0.028, 'million messages of up to 64 KB'),
  premiumProcessingUnit: {
    usd: 0.93,
    per: 'PU-hour',
    asOf: '2026',
    source: 'two third-party price tables',
    isWeak: true,
  },
  dedicatedCapacityUnit: {
    usd: 7.2,
    per: 'CU-hour',
    asOf: '2026',
    source: 'Azure China price page (CNY 45.9), at the ratio of the prices of a TU there and here',
    isWeak: true,
  },
  blobWrites: {
    usd: 0.05,
    per: '10,000 writes (hot, LRS)',
    asOf: '2026-09',
    source: 'Infracost',
    isWeak: false,
  },
} as const satisfies Readonly<Record<string, Price>>;
