/**
 * The supervisor over many tasks in memory: what one cycle does and takes when all tasks run and
 * none needs anything, and the storage operations that it costs per task and hour. Each store and
 * hub call takes as long as it does on Azure, of a clock that runs with it.
 *
 * npm run bench:supervisor -- [tasks] [period in seconds]
 */
import { MemoryAppendStore } from '../shared/adapters/memory-stores';
import type { AppendStore, HubReader, ObjectStore } from '../shared/model/ports';
import { Surveyor } from '../shared/supervision/survey/surveyor';
import { seconds, Timestamp, topology } from '../shared/dataflow';
import { StageWorld } from '../test/support/stage-world';
import { Type } from 'typebox';
import { machineLine } from './machine';

const seed = 1;
/** What a request to a blob in the same region takes, and one to a hub's management link. */
const storeLatencyMs = 10;
const hubLatencyMs = 15;
/** One worker runs so many survey activities side by side (host.json's default on one core). */
const activitiesAtOnce = 10;

const measured = topology('measured', (t) => {
  t.source('measured', {
    schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
    eventTime: (event) => event.time,
    outOfOrderness: seconds(1),
  }).toLake('measured', { schema: Type.Object({ id: Type.Integer(), time: Timestamp() }) });
});

const counts: Record<string, number> = {};

/** Counts the calls to a part of the world, and lets each take its time. */
function counting<Part extends AppendStore | ObjectStore | HubReader>(
  part: Part,
  name: string,
  latencyMs: number,
): Part {
  return new Proxy(part, {
    get: (target, property) => {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      return async (...parameters: unknown[]): Promise<unknown> => {
        const operation = `${name}.${String(property)}`;
        counts[operation] = (counts[operation] ?? 0) + 1;
        await new Promise((resolve) => setTimeout(resolve, latencyMs));
        return (member as (...given: unknown[]) => unknown).apply(target, parameters);
      };
    },
  });
}

async function main(): Promise<void> {
  const tasks = Number(process.argv[2] ?? 1_000);
  const periodSeconds = Number(process.argv[3] ?? 15);
  console.log(machineLine(seed));
  const appends = new MemoryAppendStore();
  const world = new StageWorld({ topologies: [measured], partitionCount: tasks, appends });
  const worker = world.worker();
  for (let partition = 0; partition < tasks; partition += 1) {
    const event = { id: partition, time: world.nowMs };
    world.hub('measured').append(partition, Buffer.from(JSON.stringify(event)));
    await world.deliver(worker, { stage: 'measured', partition });
  }
  const stages = world.served('surveyor').map(({ plan, services }) => ({
    plan,
    services: {
      ...services,
      appends: counting(services.appends, 'blob', storeLatencyMs),
      hub: counting(services.hub, 'hub', hubLatencyMs),
    },
  }));
  const surveyor = new Surveyor({
    stages,
    objects: counting(world.objects, 'blob', storeLatencyMs),
    isDraining: async () => false,
    graceMs: 4_000,
  });
  for (const which of ['first', 'next']) {
    for (const name of Object.keys(counts)) delete counts[name];
    const startedAt = performance.now();
    const startedCpu = process.cpuUsage();
    const pages = await surveyor.pages();
    const queue = pages.values();
    let surveyed = 0;
    let payload = 0;
    const run = async (): Promise<void> => {
      for (const page of queue) {
        const result = await surveyor.survey({ ...page, settled: {}, recovering: {} });
        surveyed += result.tasks;
        payload = Math.max(payload, JSON.stringify(result).length);
      }
    };
    await Promise.all(Array.from({ length: activitiesAtOnce }, run));
    const tookMs = performance.now() - startedAt;
    const cpu = process.cpuUsage(startedCpu);
    const operations = Object.entries(counts).filter(([name]) => name.startsWith('blob'));
    const total = operations.reduce((sum, [, count]) => sum + count, 0);
    const perTaskHour = (total / surveyed) * (3_600 / periodSeconds);
    console.log(
      `${which} survey of ${surveyed} tasks in ${pages.length} pages: ${tookMs.toFixed(0)} ms, ` +
        `${((cpu.user + cpu.system) / 1000).toFixed(0)} ms CPU; largest result ${payload} B; ` +
        `${JSON.stringify(counts)}`,
    );
    console.log(
      `at a period of ${periodSeconds} s: ${perTaskHour.toFixed(1)} storage operations per task and hour; ` +
        `the survey takes ${((tookMs / (periodSeconds * 1000)) * 100).toFixed(0)} % of the period`,
    );
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
