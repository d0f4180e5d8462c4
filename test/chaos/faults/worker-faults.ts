import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commitLogFaultPoints } from '../../../shared/commit-log/fault-points';
import { lakeFaultPoints } from '../../../shared/lake/fault-points';
import { tenderFaultPoints } from '../../../shared/supervision/tender';
import { stageFaultPoints } from '../../../shared/task/services';
import type { HubLoad } from '../load/hub-load';
import { armedFile, type ArmedPoint } from '../worker/folders';
import { pause, type FaultKind, type FaultSite } from './fault';

const points = [
  ...stageFaultPoints,
  ...commitLogFaultPoints,
  ...lakeFaultPoints,
  ...tenderFaultPoints,
];
/** A point that nobody comes to in this time is given up. */
const pointWaitMs = 30_000;
const pointLookMs = 25;
const fullBacklog = 1_000;
const clockErrorMs = 5 * 60_000;
let tokens = 0;

export const workerFaults: readonly FaultKind[] = [
  {
    name: 'kill-worker',
    rows: 'F1 F25',
    text: 'kill -9 of a worker',
    weight: 4,
    strike: async ({ workers }, random) => {
      const victim = workers.at(random.below(64));
      if (victim === null) return 'no worker was there';
      workers.kill(victim, 'kill-worker');
      return `pid ${victim.pid}`;
    },
  },
  {
    name: 'kill-all-workers',
    rows: 'F1 F25',
    text: 'kill -9 of all workers at once',
    weight: 1,
    strike: async ({ workers }) => {
      const victims = workers.alive;
      for (const victim of victims) workers.kill(victim, 'kill-all-workers');
      return `pids ${victims.map(({ pid }) => pid).join(', ')}`;
    },
  },
  {
    name: 'kill-at-point',
    rows: 'F1 F16 F23',
    text: 'a worker kills itself (SIGKILL) at a named point of commit, roll, send, flush or tend',
    weight: 4,
    strike: async (site, random) => {
      const place = random.below(64);
      const point = `${random.pick(points)}@${random.between(1, 2)}`;
      return killAtPoint(site, place, point);
    },
  },
  {
    name: 'freeze-worker',
    rows: 'F2 F3 F17',
    text: 'SIGSTOP of a worker past its lease, then SIGCONT: it wakes as a zombie',
    weight: 3,
    strike: async ({ leaseMs, workers }, random) => {
      const frozen = workers.at(random.below(64));
      const forMs = Math.round(leaseMs * (1.1 + 0.7 * random.next()));
      if (frozen === null || !workers.freeze(frozen, 'freeze-worker')) return 'no worker was there';
      await pause(forMs);
      const isAwake = workers.wake(frozen);
      return `pid ${frozen.pid} for ${forMs} ms${isAwake ? '' : '; it did not live to wake'}`;
    },
  },
  {
    name: 'skew-clock',
    rows: 'F4',
    text: 'a worker’s clock is up to five minutes wrong for some seconds, then steps back',
    weight: 2,
    strike: async ({ loads, partitionCount, workers }, random) => {
      const place = random.below(64);
      const offsetMs = random.pick([-1, 1]) * random.between(1_000, clockErrorMs);
      const forMs = random.between(3_000, 12_000);
      // A clock that leaps makes a source without input idle at once, and that is right: so there is
      // to be input.
      const isFull = (load: HubLoad): boolean =>
        Array.from({ length: partitionCount }, (_, partition) => load.backlogOf(partition)).every(
          (backlog) => backlog >= fullBacklog,
        );
      const deadlineMs = Date.now() + pointWaitMs;
      while (!loads.every(isFull) && Date.now() < deadlineMs) await pause(pointLookMs);
      if (!loads.every(isFull)) return 'a partition had too little input';
      const victim = workers.at(place);
      if (victim === null) return 'no worker was there';
      workers.setClock(victim, offsetMs);
      await pause(forMs);
      workers.setClock(victim, null);
      return `pid ${victim.pid} by ${offsetMs} ms for ${forMs} ms`;
    },
  },
  {
    name: 'scale',
    rows: 'F19',
    text: 'all workers but one drain and leave; after a while as many come',
    weight: 1,
    strike: async ({ workers }, random) => {
      const forMs = random.between(1_000, 5_000);
      const leaving = workers.alive.slice(1);
      await Promise.all(leaving.map((worker) => workers.remove(worker)));
      await pause(forMs);
      await Promise.all(leaving.map(() => workers.add()));
      return `pids ${leaving.map(({ pid }) => pid).join(', ')} left; others came after ${forMs} ms`;
    },
  },
  {
    name: 'roll-workers',
    rows: 'F19',
    text: 'a rolling deployment: one after the other a worker comes and an older one leaves',
    weight: 1,
    strike: async ({ workers }) => {
      const left: number[] = [];
      for (let count = workers.alive.length; count > 0; count -= 1) {
        await workers.add();
        // Chosen now: one that was there before may have died, and another be there in its place.
        let oldest = workers.at(0);
        for (; oldest === null; oldest = workers.at(0)) await pause(pointLookMs);
        await workers.remove(oldest);
        left.push(oldest.pid);
      }
      return `pids ${left.join(', ')}`;
    },
  },
];

/** The next worker that starts is to die there: one is killed to make room for it. */
export async function killAtPoint(
  { folder, workers }: FaultSite,
  place: number,
  point: string,
): Promise<string> {
  const token = join(folder, `token-${(tokens += 1)}`);
  const armed: ArmedPoint = { point, token };
  writeFileSync(token, point);
  writeFileSync(armedFile(folder), JSON.stringify(armed));
  const victim = workers.at(place);
  if (victim !== null) workers.kill(victim, 'kill-at-point');
  const tell = workers.expect('kill-at-point');
  const deadlineMs = Date.now() + pointWaitMs;
  while (existsSync(token) && Date.now() < deadlineMs) await pause(pointLookMs);
  const isReached = !existsSync(token);
  rmSync(token, { force: true });
  // The death is told a moment after the token is gone.
  await pause(2 * pointLookMs);
  if (isReached) tell();
  return `${point}: ${isReached ? 'died there' : 'nobody came there'}`;
}
