// Goal: what a batch or a drain made due and had no time to fire is fired by whoever looks after the
// task next, although no input comes any more. Once it lay there for ever.
import { Type } from 'typebox';
import { listLogs } from '../../../shared/commit-log/log-reader';
import { surveyLog } from '../../../shared/supervision/survey/log-survey';
import { emptyDigest } from '../../../shared/supervision/survey/task-digest';
import { count, minutes, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp() });
const row = Type.Object({ key: Type.String(), events: Type.Integer() });

const windows = (isPartitionedBySource: boolean) =>
  topology('windows', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .keyBy((e) => `key ${e.id}`, { name: 'id', isPartitionedBySource })
      .window(tumbling(minutes(1)), { name: 'windows' })
      .aggregate({ events: count() })
      .map(({ events, key }) => ({ key, events }))
      .toLake('counts', { schema: row });
  });

const timeMs = Date.UTC(2026, 0, 1);

async function aWorld(isPartitionedBySource: boolean): Promise<StageWorld> {
  const world = new StageWorld({
    topologies: [windows(isPartitionedBySource)],
    partitionCount: 1,
    limits: { firedResultsMax: 3 },
  });
  const bodies = Array.from({ length: 20 }, (_, id) => ({ id, time: timeMs }));
  world.hub('events').append(0, ...bodies.map((body) => Buffer.from(JSON.stringify(body))));
  await world.deliver(world.worker(), { stage: 'events', partition: 0 });
  return world;
}

/** Long after, with all the time it wants. */
async function lookAfter(world: StageWorld): Promise<void> {
  world.nowMs += minutes(10);
  await world.worker().tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: minutes(5) });
}

/** What a survey sees of the one source task. */
async function isFiringDue(world: StageWorld): Promise<boolean> {
  const [path] = await listLogs(world.appends, 'windows');
  if (path === undefined) throw new Error('there is no log');
  const known = { digest: emptyDigest, generations: [0] };
  return (await surveyLog(world, path, known)).isFiringDue;
}

describe('results that are due', () => {
  it('when a drain is out of time are fired by the next that looks after the task', async () => {
    const world = await aWorld(true);
    world.isDraining = true;
    const request = { functionName: 'windows-events', partition: '0' };
    await world.worker().tendTask({ ...request, deadlineMs: world.nowMs });
    expect(await isFiringDue(world)).toBe(true);
    await lookAfter(world);
    expect(await isFiringDue(world)).toBe(false);
    expect(await world.rows('counts')).toHaveLength(20);
  });

  it('when a batch is out of time are fired without another one', async () => {
    const world = await aWorld(false);
    const last = { id: 20, time: timeMs + minutes(5) };
    world.hub('events').append(0, Buffer.from(JSON.stringify(last)));
    await world.deliver(world.worker(), { stage: 'events', partition: 0 });
    const request = { functionName: 'windows-by-id', partition: '0' };
    const messages = world.hub('windows-id').messages(0);
    await world.worker().processBatch({ ...request, messages, deadlineMs: world.nowMs });
    world.nowMs += minutes(10);
    await world.worker().tendTask({ ...request, deadlineMs: Infinity });
    world.nowMs += minutes(10);
    await world.worker().tendTask({ ...request, deadlineMs: Infinity });
    expect(await world.rows('counts')).toHaveLength(20);
  });
});
