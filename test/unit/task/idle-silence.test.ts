// Goal: an idle stack is silent: once every window is closed and every outbox has arrived nothing is
// appended to a log, nothing is sent, and no survey finds a task that needs something.
// Method: a topology with windows behind an exchange in one process, its time moved on in steps.
import { Surveyor } from '../../../shared/supervision/survey/surveyor';
import type { Runtime } from '../../../shared/task/runtime';
import { expectedReadings, Mendable, someReadings } from '../../support/mendable';
import { StageWorld } from '../../support/stage-world';
import { harmStores } from '../../support/store-harm';

// Of the time in which they are enqueued.
const readings = someReadings(60, Date.UTC(2026, 5, 1));
const partitionCount = 2;
const stepMs = 30_000;

class IdleWorld {
  readonly world: StageWorld;
  readonly #read = new Map<string, number>();
  #appends = 0;

  constructor() {
    const mendable = new Mendable({ isQuietClosed: true });
    mendable.isMended = true;
    this.world = new StageWorld({
      ...{ topologies: [mendable.topology], partitionCount, flushRowsMax: 10 },
    });
    harmStores([this.world.appends], (_operation, method, name) => {
      if (method === 'append' && name.startsWith('commits/')) this.#appends += 1;
    });
  }

  send(partition: number, from: number, to: number): void {
    for (const reading of readings.slice(from, to)) {
      this.world.hub('readings').append(partition, Buffer.from(JSON.stringify(reading)));
    }
  }

  /** The host hands over what has come, then the timer looks after the tasks. */
  async step(worker: Runtime, held = true): Promise<void> {
    this.world.nowMs += stepMs;
    for (const stage of ['readings', 'by-sensor']) {
      for (let partition = 0; partition < partitionCount; partition += 1) {
        const { input } = this.world.stage(stage);
        const from = this.#read.get(`${stage}/${partition}`) ?? 0;
        const { length } = this.world.hub(input.hub).messages(partition);
        if (length === from) continue;
        await this.world.deliver(worker, { stage, partition, from });
        this.#read.set(`${stage}/${partition}`, length);
      }
    }
    if (held) await worker.tendHeld(Infinity);
    else await this.world.worker().tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: 0 });
  }

  async pass(worker: Runtime, milliseconds: number, held = true): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += stepMs) await this.step(worker, held);
  }

  /** Appends to logs, and messages in exchanges, so far. */
  get traffic(): { appends: number; messages: number } {
    const exchange = this.world.hub('readings-sensor');
    const messages = [0, 1].reduce((sum, each) => sum + exchange.messages(each).length, 0);
    return { appends: this.#appends, messages };
  }

  async needs(): Promise<unknown[]> {
    const surveyor = new Surveyor({
      ...{ stages: this.world.served('surveyor'), objects: this.world.objects, graceMs: 4_000 },
      isDraining: async () => false,
    });
    const found: unknown[] = [];
    for (const { functionName, page } of await surveyor.pages()) {
      const request = { functionName, page, settled: {}, recovering: {} };
      found.push(...(await surveyor.survey(request)).findings);
    }
    return found;
  }
}

const hourMs = 3_600_000;

it.each([
  ['tasks that are held', true],
  ['tasks that nobody holds', false],
])('%s fall silent when their windows are closed, and say so once', async (_name, held) => {
  const idle = new IdleWorld();
  idle.send(0, 0, 30);
  idle.send(1, 30, 60);
  const worker = idle.world.worker();
  await idle.pass(worker, hourMs, held);
  expect(await idle.world.rows('sensor_minutes')).toEqual(expectedReadings(readings).minutes);
  const before = idle.traffic;
  expect(before.appends).toBeGreaterThan(4);
  await idle.pass(worker, 2 * hourMs, held);
  expect(idle.traffic).toEqual(before);
  expect(await idle.needs()).toEqual([]);
  // A worker that starts anew has nothing to send, nor to say.
  await idle.pass(idle.world.worker(), hourMs, held);
  expect(idle.traffic).toEqual(before);
  expect(await idle.needs()).toEqual([]);
});

it('a partition that never had an event is silent, and holds nobody up', async () => {
  const idle = new IdleWorld();
  idle.send(0, 0, 60);
  const worker = idle.world.worker();
  // Looked after by the timer alone.
  await idle.pass(worker, hourMs, false);
  expect(await idle.world.rows('sensor_minutes')).toEqual(expectedReadings(readings).minutes);
  const before = idle.traffic;
  await idle.pass(worker, 2 * hourMs, false);
  expect(idle.traffic).toEqual(before);
  expect(await idle.needs()).toEqual([]);
});

it('input after the silence is processed, and silence returns', async () => {
  const idle = new IdleWorld();
  idle.send(0, 0, 30);
  idle.send(1, 0, 0);
  const worker = idle.world.worker();
  await idle.step(worker);
  idle.send(1, 30, 60);
  await idle.pass(worker, hourMs);
  expect(await idle.world.rows('sensor_minutes')).toEqual(expectedReadings(readings).minutes);
  const before = idle.traffic;
  await idle.pass(worker, hourMs);
  expect(idle.traffic).toEqual(before);
  idle.send(0, 0, 1);
  await idle.pass(worker, hourMs);
  expect(idle.traffic.appends).toBeGreaterThan(before.appends);
  const after = idle.traffic;
  await idle.pass(worker, hourMs);
  expect(idle.traffic).toEqual(after);
  expect(await idle.needs()).toEqual([]);
});
