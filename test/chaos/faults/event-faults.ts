import { badBodies, type Harm } from '../load/orders-workload';
import { pause, type FaultKind, type FaultSite } from './fault';
import { forSomeTime } from './store-faults';

export const eventFaults: readonly FaultKind[] = [
  {
    name: 'bad-bytes',
    rows: 'F14',
    text: 'events that are no text, no JSON, of another shape, too deep, or large',
    weight: 2,
    strike: async ({ orders, partitionCount }, random) => {
      const body = random.pick(badBodies);
      const partition = random.below(partitionCount);
      orders.workload.injectBad(orders.load, partition, body);
      return `${body} to orders/${partition}`;
    },
  },
  {
    name: 'throwing-event',
    rows: 'F14',
    text: 'an event at which user code throws',
    weight: 2,
    strike: async (site, random) => harm(site, random.below(site.partitionCount), 'throw'),
  },
  {
    name: 'exiting-event',
    rows: 'F14',
    text: 'an event at which user code calls process.exit',
    weight: 1,
    isLong: true,
    strike: async (site, random) => harm(site, random.below(site.partitionCount), 'exit'),
  },
  {
    name: 'looping-event',
    rows: 'F14',
    text: 'an event at which user code loops for ever',
    weight: 1,
    isLong: true,
    strike: async (site, random) => harm(site, random.below(site.partitionCount), 'loop'),
  },
  {
    name: 'hoarding-event',
    rows: 'F14',
    text: 'an event at which user code takes all memory',
    weight: 1,
    isLong: true,
    strike: async (site, random) => harm(site, random.below(site.partitionCount), 'memory'),
  },
  {
    name: 'dead-letter-while-store-fails',
    rows: 'F15',
    text: 'an event becomes a dead letter while the commit log, where dead letters are kept, refuses appends',
    weight: 1,
    strike: async (site, random) => {
      const did = await harm(site, random.below(site.partitionCount), 'throw');
      const outage = await forSomeTime(site, {
        name: 'dead-letter-while-store-fails',
        fault: { kind: 'status', status: 503 },
        path: /comp=appendblock/,
        forMs: random.between(1_000, 4_000),
      });
      return `${did}; ${outage}`;
    },
  },
  {
    name: 'late-events',
    rows: 'F12',
    text: 'events a year late: counted, in the table of events and in no window',
    weight: 2,
    strike: async ({ orders, partitionCount }, random) => {
      const partition = random.below(partitionCount);
      const count = random.between(1, 50);
      orders.workload.injectLate(orders.load, partition, count);
      return `${count} to orders/${partition}`;
    },
  },
  {
    name: 'early-events',
    rows: 'F12',
    text: 'events of the year 2099, which must not move the watermark',
    weight: 2,
    strike: async ({ orders, partitionCount }, random) => {
      const partition = random.below(partitionCount);
      const count = random.between(1, 20);
      orders.workload.injectEarly(orders.load, partition, count);
      return `${count} to orders/${partition}`;
    },
  },
  {
    name: 'hot-key',
    rows: 'F24',
    text: 'nine of ten orders are one customer’s for some seconds',
    weight: 2,
    strike: async ({ orders }, random) => {
      const forMs = random.between(3_000, 10_000);
      orders.workload.heat(forMs);
      await pause(forMs);
      return `for ${forMs} ms`;
    },
  },
];

async function harm({ orders }: FaultSite, partition: number, what: Harm): Promise<string> {
  orders.workload.injectHarm(orders.load, partition, what);
  return `${what} to orders/${partition}`;
}
