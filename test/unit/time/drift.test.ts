// Goal: over a backlog with one slow source partition the others do not fill the next stage's state; nothing is lost
// or doubled; and nobody waits for a partition that is idle, has finished or stands still, nor for a dead survey.
import { Type } from 'typebox';
import { count, minutes, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { Surveyor, type SurveyPage } from '../../../shared/supervision/survey/surveyor';
import type { Runtime } from '../../../shared/task/runtime';
import { aheadByMs, sourceTimes } from '../../../shared/time/drift';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
const row = Type.Object({ minute: Timestamp(), events: Type.Integer() });
const startMs = Date.UTC(2026, 0, 1);

const backlog = topology('backlog', (t) => {
  t.source('in', { schema: event, eventTime: (e) => e.time })
    .keyBy((e) => e.id % 7, { name: 'key' })
    .window(tumbling(minutes(1)), { name: 'minutes' })
    .aggregate({ events: count() })
    .map((w) => ({ minute: w.windowStart, events: w.events }))
    .toLake('counts', { schema: row });
});

const eventsPerPartition = 400;
const maxDriftMs = minutes(60);
const everyMs = 15_000;

/** A backlog in two partitions: an event per minute in each, a message each. */
class Backlog {
  readonly world: StageWorld;
  readonly surveyor: Surveyor;
  worker: Runtime;
  /** Where the host is in each partition: it moves on, whatever becomes of a batch. */
  readonly host = [0, 0];
  leadMaxMs = 0;
  stateBytesMax = 0;

  constructor(options: { readonly maxDriftMs: number; readonly events?: readonly number[] }) {
    const limits = { maxDriftMs: options.maxDriftMs, gapReadMessagesMax: 10 };
    this.world = new StageWorld({
      ...{ topologies: [backlog], partitionCount: 2, exchangePartitionCount: 1, limits },
    });
    const events = options.events ?? [eventsPerPartition, eventsPerPartition];
    for (const [partition, howMany] of events.entries()) {
      for (let at = 0; at < howMany; at += 1) {
        const value = { id: 2 * at + partition, time: startMs + at * minutes(1) };
        this.world.hub('in').append(partition, Buffer.from(JSON.stringify(value)));
      }
    }
    // A commit takes half a second.
    this.worker = this.world.worker((point) => {
      if (point === 'stage.before-process') this.world.nowMs += 500;
      return false;
    });
    this.surveyor = new Surveyor({
      ...{ stages: this.world.served('surveyor'), objects: this.world.objects, graceMs: 4_000 },
      isDraining: async () => false,
    });
  }

  /** The host hands over the next messages of a partition. */
  async hand(partition: number, howMany: number): Promise<void> {
    const from = this.host[partition] ?? 0;
    const messages = this.world
      .hub('in')
      .messages(partition)
      .slice(from, from + howMany);
    this.host[partition] = from + messages.length;
    if (messages.length === 0) return;
    await this.worker.processBatch({
      ...{ functionName: 'backlog-in', partition: String(partition), messages },
      deadlineMs: this.world.nowMs + 2_000,
    });
  }

  /** The first partition alone: the second is slow. */
  async tend(forMs = 2_000): Promise<void> {
    const deadlineMs = this.world.nowMs + forMs;
    await this.worker.tendTask({ functionName: 'backlog-in', partition: '0', deadlineMs });
  }

  async nextStage(): Promise<void> {
    const messages = this.world.hub('backlog-key').messages(0);
    await this.worker.processBatch({
      ...{ functionName: 'backlog-by-key', partition: '0', messages, deadlineMs: Infinity },
    });
  }

  async survey(functionName = 'backlog-in'): Promise<SurveyPage> {
    const request = { functionName, page: 0, settled: {}, recovering: {} };
    const { name } = await this.surveyor.survey(request);
    return JSON.parse(
      Buffer.from((await this.world.objects.get(name)) ?? []).toString(),
    ) as SurveyPage;
  }

  /** How far the first partition is ahead of the second, in events. */
  async lead(): Promise<number> {
    const { tasks } = await this.survey();
    const [first, second] = tasks.map(({ digest }) => digest.cursor?.sequenceNumber ?? 0);
    return (first ?? 0) - (second ?? 0);
  }

  /** One survey and what workers do until the next: the first partition is fast, the second slow. */
  async round(fast: number, slow: number): Promise<void> {
    await this.survey();
    this.world.nowMs += everyMs;
    await this.hand(1, slow);
    await this.hand(0, fast);
    await this.tend();
    await this.nextStage();
    const { tasks } = await this.survey('backlog-by-key');
    this.stateBytesMax = Math.max(this.stateBytesMax, tasks[0]?.digest.stateBytes ?? 0);
  }
}

it('a fast partition waits for a slow one, so that the next stage holds no more than the drift', async () => {
  const unlimited = new Backlog({ maxDriftMs: Infinity });
  const limited = new Backlog({ maxDriftMs });
  const perRound = 40;
  for (let round = 0; round < 60; round += 1) {
    for (const one of [unlimited, limited]) await one.round(perRound, 10);
    expect(await limited.lead()).toBeLessThanOrEqual(60 + 2 * perRound);
  }
  expect(limited.world.events.map(({ event: name }) => name)).toContain('task.held-back');
  expect(limited.stateBytesMax).toBeLessThan(unlimited.stateBytesMax / 2);
  for (const one of [unlimited, limited]) await one.world.finish(one.worker);
  const rows = await limited.world.rows('counts');
  expect(rows).toHaveLength(2 * eventsPerPartition);
  expect(rows).toEqual(await unlimited.world.rows('counts'));
});

it('a partition that was held back is read on without a new batch', async () => {
  const one = new Backlog({ maxDriftMs });
  await one.hand(0, 200);
  await one.hand(1, 1);
  await one.survey();
  one.world.nowMs += everyMs;
  // How fast the slowest goes shows with the second survey.
  await one.survey();
  one.world.nowMs += everyMs;
  await one.hand(0, 200);
  expect(await one.lead()).toBe(199);
  const [held] = (await one.survey()).tasks;
  expect(held?.needs).not.toContain('recover');
  expect(held?.why).toMatch(/held back: 11940 s of event time ahead of where the slowest/);
  await one.hand(1, 199);
  expect(await one.lead()).toBe(0);
  one.world.nowMs += everyMs;
  await one.tend(60_000);
  expect(await one.lead()).toBe(200);
});

it('partitions that go through a history at one speed do not wait for each other', async () => {
  const one = new Backlog({ maxDriftMs });
  for (let round = 0; round < 4; round += 1) await one.round(100, 100);
  expect((await one.survey()).tasks.map(({ lag }) => lag)).toEqual([0, 0]);
  expect(one.world.events.map(({ event: name }) => name)).not.toContain('task.held-back');
});

it('partitions that take turns in a long history, days apart each time, do not wait for each other', async () => {
  const one = new Backlog({ maxDriftMs });
  for (let round = 0; round < 4; round += 1) {
    // A survey falls between the two: one of them is always far behind.
    await one.hand(0, 100);
    one.world.nowMs += everyMs / 2;
    await one.survey();
    await one.hand(1, 100);
    one.world.nowMs += everyMs / 2;
    await one.survey();
  }
  expect((await one.survey()).tasks.map(({ lag }) => lag)).toEqual([0, 0]);
  expect(one.world.events.map(({ event: name }) => name)).not.toContain('task.held-back');
});

it('nobody waits for a partition without input', async () => {
  const one = new Backlog({ maxDriftMs, events: [400, 1] });
  await one.hand(1, 1);
  for (let round = 0; round < 4; round += 1) await one.round(100, 0);
  expect(await one.lead()).toBe(399);
});

it('nobody waits for ever for a partition that stands still', async () => {
  const one = new Backlog({ maxDriftMs });
  await one.hand(1, 1);
  const leads: number[] = [];
  for (let round = 0; round < 12; round += 1) {
    await one.round(40, 0);
    leads.push(await one.lead());
  }
  // It is waited for as long as a survey is believed, and others go on then.
  expect(leads.slice(1, 4)).toEqual([79, 79, 79]);
  expect(leads.at(-1)).toBe(399);
});

it('nobody waits for ever for a survey that does not come again', async () => {
  const one = new Backlog({ maxDriftMs });
  await one.hand(0, 200);
  await one.hand(1, 1);
  await one.survey();
  await one.hand(0, 100);
  one.world.nowMs += 61_000;
  await one.tend(60_000);
  expect(await one.lead()).toBe(399);
});

describe('what a survey says of source partitions', () => {
  const source = (partition: string, watermarkMs: number | null, lag = 1, isStuck = false) => ({
    ...{ partition, watermarkMs, lag, isStuck },
  });
  /** Twice the same, so that the pace of all is 0. */
  const twice = (sources: Parameters<typeof sourceTimes>[2], stage = 'in') =>
    sourceTimes(stage, 10_001, sources, sourceTimes(stage, 1, sources, null));
  const ahead = (sources: Parameters<typeof sourceTimes>[2], knownSinceMs = 0): number =>
    aheadByMs([twice(sources)], { stage: 'in', partition: '0' }, knownSinceMs);

  it('is how far one is ahead of the least that has input and moves', () => {
    expect(ahead([source('0', 100), source('1', 40), source('2', 60)])).toBe(60);
    expect(ahead([source('0', 100), source('1', 40, 0), source('2', 60)])).toBe(40);
    expect(ahead([source('0', 100), source('1', 40, 1, true), source('2', null)])).toBe(0);
    expect(ahead([source('0', 10), source('1', 40)])).toBe(0);
    expect(ahead([source('0', null), source('1', 40)])).toBe(0);
    expect(ahead([source('0', 100), source('1', 40)], 10_002)).toBe(0);
  });

  it('is no lead that the slowest makes good at once, at its pace', () => {
    const at = (watermarkMs: number, movedMs: number): number => {
      const before = sourceTimes('in', 1, [source('0', watermarkMs), source('1', 40)], null);
      const sources = [source('0', watermarkMs), source('1', 40 + movedMs)];
      const next = sourceTimes('in', 10_001, sources, before);
      // A survey right behind it measures nothing new.
      const third = sourceTimes('in', 10_002, sources, next);
      const task = { stage: 'in', partition: '0' };
      expect(aheadByMs([third], task, 0)).toBe(aheadByMs([next], task, 0));
      return aheadByMs([next], task, 0);
    };
    expect(at(100_000, 10_000)).toBe(100_000 - 10_040 - 30_000);
    expect(at(40_000, 10_000)).toBe(0);
    // Days in a second: a moment apart is hours apart.
    expect(at(90_000_000, 10_000_000)).toBe(50_000_000 - 40);
    expect(at(90_000_000, 30_000_000)).toBe(0);
  });

  it('is nothing before the pace of the slowest is known', () => {
    const first = sourceTimes('in', 1, [source('0', 100), source('1', 40)], null);
    expect(aheadByMs([first], { stage: 'in', partition: '0' }, 0)).toBe(0);
  });

  it('counts over all sources of the topology', () => {
    const all = [twice([source('0', 100)]), twice([source('0', 30)], 'other')];
    expect(aheadByMs(all, { stage: 'in', partition: '0' }, 0)).toBe(70);
    expect(aheadByMs(all, { stage: 'other', partition: '0' }, 0)).toBe(0);
  });
});
