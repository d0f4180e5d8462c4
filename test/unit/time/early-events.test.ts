// Goal: an event that is dated far ahead of when it was enqueued neither moves time, nor opens a window, nor
// holds the next stage back: whatever becomes of it, the others are as if it had not come.
import { Type } from 'typebox';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import {
  count,
  hours,
  minutes,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { eventsOf } from '../../support/envelopes';
import { StageWorld } from '../../support/stage-world';

type Policy = 'deadLetter' | 'clamp';

/** Minutes of a source whose partitions hold their keys, then minutes of all behind an exchange. */
const minutesOf = (policy: Policy): Topology =>
  topology('early', (t) => {
    t.source('events', {
      schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
      eventTime: (event) => event.time,
      early: { limit: hours(1), policy },
    })
      .keyBy(() => 'one', { name: 'one', isPartitionedBySource: true })
      .window(tumbling(minutes(1)), { name: 'minutes' })
      .aggregate({ events: count() })
      .keyBy(() => 'all', { name: 'all' })
      .window(tumbling(minutes(1)), { name: 'all-minutes' })
      .aggregate({ results: count() })
      .map(({ results, windowStart }) => ({ start: windowStart, results }))
      .toLake('minutes', {
        schema: Type.Object({ start: Timestamp(), results: Type.Integer() }),
      });
  });

/** When the memory hub says that all of it was enqueued. */
const nowMs = Date.UTC(2026, 5, 1);
const years50Ms = 50 * 365 * 86_400_000;

async function run(policy: Policy, times: readonly number[]) {
  const world = new StageWorld({ topologies: [minutesOf(policy)], partitionCount: 1 });
  times.forEach((time, id) => {
    world.hub('events').append(0, Buffer.from(JSON.stringify({ id, time })));
  });
  const worker = world.worker();
  await world.deliver(worker, { stage: 'events', partition: 0 });
  const told = world
    .hub('early-all')
    .messages(0)
    .map(({ body }) => eventsOf(body).watermarkMs);
  await world.finish(worker);
  const rows = await world.rows('minutes');
  return { world, rows, told: told.at(-1), ledger: await ledgerOf(world) };
}

async function ledgerOf(world: StageWorld) {
  const [ledger] = await world.worker().ledgers('early-events');
  return ledger;
}

async function lettersOf({ appends }: StageWorld) {
  const logs = await listLogs(appends, 'early');
  const read = await Promise.all(logs.map((path) => readLog(appends, path, null)));
  return read
    .flatMap(({ records }) => records)
    .flatMap((record) => (record.kind === 'commit' ? record.deadLetters : []));
}

const onTime = [nowMs, nowMs + minutes(2), nowMs + minutes(1), nowMs + minutes(3)];
const withEarly = [nowMs, nowMs + years50Ms, ...onTime.slice(1)];

describe('an event dated 50 years ahead', () => {
  it('is a dead letter, and everything else is as without it', async () => {
    const plain = await run('deadLetter', onTime);
    const early = await run('deadLetter', withEarly);
    expect(early.rows).toEqual(plain.rows);
    expect(early.told).toBe(plain.told);
    expect(early.ledger).toMatchObject({
      read: 5,
      emitted: plain.ledger?.emitted ?? -1,
      deadLettered: 1,
    });
    const letters = await lettersOf(early.world);
    expect(letters).toMatchObject([{ code: 'STREAM_EVENT_EARLY', operator: 'events' }]);
    expect(letters[0]?.message).toMatch(
      /dated 2076-05-19T\S+, 1576799999999 ms after .* 3600000 ms/,
    );
  });

  it('counts as one of its enqueued time and the limit where the source says so, and moves no time', async () => {
    const plain = await run('clamp', onTime);
    const early = await run('clamp', withEarly);
    expect(early.told).toBe(plain.told);
    expect(early.rows).toEqual([...plain.rows, JSON.stringify([nowMs + hours(1), 1])].sort());
    expect(early.ledger).toMatchObject({ read: 5, deadLettered: 0 });
  });
});

it('an event exactly at the limit is not too early', async () => {
  const { ledger } = await run('deadLetter', [nowMs + hours(1)]);
  expect(ledger).toMatchObject({ read: 1, emitted: 1, deadLettered: 0 });
});
