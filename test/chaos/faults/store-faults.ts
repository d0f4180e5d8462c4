import type { FaultRule } from '../../support/store-fault-proxy';
import { pause, type FaultKind, type FaultSite } from './fault';

const appends = { method: 'PUT', path: /comp=appendblock/ };
const tableCommits = { method: 'PUT', path: /_delta_log/ };

export const storeFaults: readonly FaultKind[] = [
  {
    name: 'store-errors',
    rows: 'F5',
    text: 'the store answers 500 or 503, to some requests or for some seconds to all',
    weight: 2,
    strike: (site, random) => {
      const fault = { kind: 'status', status: random.pick([500, 503]) } as const;
      const times = random.between(3, 40);
      const forMs = random.between(1_000, 4_000);
      return random.chance(0.5)
        ? someTimes(site, { fault, times })
        : forSomeTime(site, { name: 'store-errors', fault, forMs });
    },
  },
  {
    name: 'store-restart',
    rows: 'F5',
    text: 'Azurite ends and is started again on its data after some seconds',
    weight: 1,
    strike: async (site, random) => {
      const pauseMs = random.between(500, 4_000);
      return site.storageTurns.take(async () => {
        const atMs = Date.now();
        await site.cluster.restartStorage(pauseMs);
        site.outage('store-restart', atMs);
        return `away for ${Date.now() - atMs} ms`;
      });
    },
  },
  {
    name: 'store-precondition',
    rows: 'F6',
    text: 'the store says 412 to appends, or 409 to table commits, though nobody was first',
    weight: 2,
    strike: (site, random) => {
      const times = random.between(1, 5);
      return random.chance(0.6)
        ? someTimes(site, {
            ...appends,
            times,
            fault: { kind: 'status', status: 412, code: 'AppendPositionConditionNotMet' },
          })
        : someTimes(site, {
            ...tableCommits,
            times,
            fault: { kind: 'status', status: 409, code: 'BlobAlreadyExists' },
          });
    },
  },
  {
    name: 'store-lost-response',
    rows: 'F7',
    text: 'the store carries appends or table commits out; the answer is lost, or says 500',
    weight: 2,
    strike: (site, random) => {
      const fault: FaultRule['fault'] = random.chance(0.5)
        ? { kind: 'lost-response' }
        : { kind: 'masked-response', status: 500 };
      const target = random.chance(0.6) ? appends : tableCommits;
      return someTimes(site, { ...target, fault, times: random.between(1, 6) });
    },
  },
  {
    name: 'store-slow',
    rows: 'F8',
    text: 'the store is slow, or takes requests and never answers',
    weight: 2,
    strike: (site, random) => {
      const delayMs = random.between(200, 4_000);
      return random.chance(0.7)
        ? someTimes(site, { fault: { kind: 'slow', delayMs }, times: random.between(5, 40) })
        : someTimes(site, { fault: { kind: 'hang' }, times: random.between(1, 2) });
    },
  },
  {
    name: 'store-reset',
    rows: 'F5 F8',
    text: 'connections to the store break before the request gets there',
    weight: 1,
    strike: (site, random) =>
      someTimes(site, { fault: { kind: 'reset' }, times: random.between(3, 20) }),
  },
  {
    name: 'store-forbidden',
    rows: 'F9',
    text: 'the store answers 403 for some seconds, as after a rotated key',
    weight: 1,
    strike: (site, random) =>
      forSomeTime(site, {
        name: 'store-forbidden',
        fault: { kind: 'status', status: 403 },
        forMs: random.between(1_000, 3_000),
      }),
  },
];

/** How long a fault of some requests may wait for these. */
const patienceMs = 15_000;

async function someTimes(
  { proxy }: FaultSite,
  rule: FaultRule & { times: number },
): Promise<string> {
  const before = proxy.applied.length;
  const clear = proxy.inject(rule);
  const deadlineMs = Date.now() + patienceMs;
  const met = (): number =>
    proxy.applied.slice(before).filter(({ fault }) => fault === rule.fault).length;
  while (met() < rule.times && Date.now() < deadlineMs) await pause(50);
  clear();
  return `${describe(rule)}, met ${met()} times`;
}

export async function forSomeTime(
  { proxy, ...site }: FaultSite,
  what: { name: string; fault: FaultRule['fault']; forMs: number; path?: RegExp },
): Promise<string> {
  const atMs = Date.now();
  const before = proxy.applied.length;
  const { fault, forMs, name, path } = what;
  const clear = proxy.inject({ fault, ...(path && { path }) });
  await pause(forMs);
  clear();
  site.outage(name, atMs);
  return `${describe({ fault, ...(path && { path }) })} for ${forMs} ms, met ${proxy.applied.length - before} times`;
}

function describe({ fault, method, path }: FaultRule): string {
  const what = path === undefined ? 'any request' : `${method ?? ''} ${path.source}`.trim();
  return `${JSON.stringify(fault)} to ${what}`;
}
