/** Faults of what looks after the tasks: the Durable supervisor and the jobs. */
import { jobFaultPoints } from '../../../shared/operations/jobs/work-on-job';
import { tenderFaultPoints } from '../../../shared/supervision/tender';
import type { FaultKind, FaultSite } from './fault';
import { killAtPoint } from './worker-faults';

const compactedBytes = 16 * 1024 * 1024;
const instancePath = '/runtime/webhooks/durabletask/instances/millrace-supervisor';

export const controlFaults: readonly FaultKind[] = [
  {
    name: 'end-supervisor',
    rows: 'F16 F18',
    text: 'the supervisor’s orchestration is terminated; the watchdog has to start another',
    weight: 1,
    strike: async ({ cluster }) => {
      const url = `${cluster.host.httpUrl}${instancePath}/terminate?reason=chaos`;
      const response = await fetch(url, { method: 'POST' }).catch(() => null);
      return `answer ${response?.status ?? 'none'}`;
    },
  },
  {
    name: 'kill-in-fan-out',
    rows: 'F16 F17',
    text: 'a worker kills itself in the middle of the supervisor’s fan-out',
    weight: 1,
    strike: (site, random) => killAtPoint(site, random.below(64), random.pick(tenderFaultPoints)),
  },
  {
    name: 'compact',
    rows: 'F23',
    text: 'a table is compacted while it is written, and a worker kills itself in that job',
    weight: 2,
    strike: async (site, random) => {
      const { name } = random.pick(site.cluster.plan.tables);
      const point = random.pick(jobFaultPoints);
      const place = random.below(64);
      const [killed, started] = await Promise.all([
        killAtPoint(site, place, point),
        startCompact(site, name),
      ]);
      return `${name}: ${started}; ${killed}`;
    },
  },
];

async function startCompact({ cluster }: FaultSite, table: string): Promise<string> {
  const response = await fetch(`${cluster.host.httpUrl}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      kind: 'compact',
      options: { table, targetBytes: compactedBytes },
      workers: 2,
    }),
  }).catch(() => null);
  if (response?.status !== 202) return `the job was not taken (${response?.status ?? 'no answer'})`;
  return ((await response.json()) as { id: string }).id;
}
