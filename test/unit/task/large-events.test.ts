// Goal: what is too large for a commit or a message is one dead letter; the task goes on. Each of
// these once made a task try for ever.
import { gunzipSync, gzipSync } from 'node:zlib';
import { Type } from 'typebox';
import { readLog, listLogs } from '../../../shared/commit-log/log-reader';
import type { DeadLetter } from '../../../shared/model/commit';
import { reduce, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

const event = Type.Object({ id: Type.Integer(), time: Timestamp(), text: Type.String() });
const row = Type.Object({ id: Type.Integer(), text: Type.String() });
const source = { schema: event, eventTime: (e: { time: number }) => e.time };

const rows = topology('rows', (t) => {
  t.source('rows', source)
    .map(({ id, text }) => ({ id, text }))
    .toLake('texts', { schema: row });
});

const exchanged = topology('exchanged', (t) => {
  t.source('exchanged', source)
    .keyBy((e) => String(e.id), { name: 'id' })
    .window(tumbling(1_000), { name: 'windows' })
    // A fold of one's own is given whole values: all of each travels.
    .aggregate({ events: reduce(0, (events) => events + 1) })
    .map(({ key }) => ({ id: Number(key), text: '' }))
    .toLake('texts', { schema: row });
});

/** The results are far larger than what made them. */
const results = topology('results', (t) => {
  t.source('results', source)
    .keyBy((e) => String(e.id), { name: 'key', isPartitionedBySource: true })
    .window(tumbling(1_000), { name: 'windows' })
    .aggregate({ text: reduce('', (_, e: { text: string }) => e.text) })
    .map(({ key, text }) => ({ id: Number(key), text: text.repeat(text.length > 1 ? 1_000 : 1) }))
    .toLake('texts', { schema: row });
});

/** Text that gzip makes little smaller. */
function noise(length: number): string {
  let state = 1;
  const units = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    units[index] = 35 + ((state >>> 8) % 57);
  }
  return units.toString('latin1');
}

const bodyOf = (id: number, text: string): Buffer =>
  Buffer.from(JSON.stringify({ id, time: id * 1_000, text }));

async function run(defined: typeof rows, bodies: readonly Uint8Array[]) {
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub(defined.name).append(0, ...bodies);
  await world.finish(world.worker());
  const letters: DeadLetter[] = [];
  for (const path of await listLogs(world.appends, defined.name)) {
    for (const record of (await readLog(world.appends, path, null)).records) {
      if (record.kind === 'commit') letters.push(...record.deadLetters);
    }
  }
  const ids = (await world.rows('texts')).map((text) => (JSON.parse(text) as [number])[0]);
  return { ids, letters };
}

describe('an event too large', () => {
  it('for its commit is a dead letter with all its bytes, in gzip', async () => {
    const large = gzipSync(bodyOf(2, noise(100).repeat(50_000)));
    const { ids, letters } = await run(rows, [bodyOf(1, 'a'), large, bodyOf(3, 'c')]);
    expect(ids).toEqual([1, 3]);
    expect(letters).toMatchObject([{ code: 'STREAM_EVENT_TOO_LARGE', sequenceNumber: 1 }]);
    const kept = gunzipSync(Buffer.from(letters[0]?.payloadBase64 ?? '', 'base64'));
    expect(JSON.parse(kept.toString())).toMatchObject({ id: 2 });
  });

  it('for its commit even in gzip is a dead letter that says where the rest is', async () => {
    const large = bodyOf(2, noise(5 * 1024 * 1024));
    const { ids, letters } = await run(rows, [bodyOf(1, 'a'), large, bodyOf(3, 'c')]);
    expect(ids).toEqual([1, 3]);
    expect(letters[0]?.message).toMatch(
      /the first 65536 of its \d+ bytes are kept; the hub has all/,
    );
  });

  it('for a message of its exchange is a dead letter of the stage before it', async () => {
    const large = bodyOf(2, noise(1_100_000));
    const { ids, letters } = await run(exchanged, [bodyOf(1, 'a'), large, bodyOf(3, 'c')]);
    expect(ids).toEqual([1, 3]);
    expect(letters).toMatchObject([{ code: 'STREAM_EVENT_TOO_LARGE', operator: 'id' }]);
  });

  it('as the result of a window is a dead letter of its own, and no event is blamed', async () => {
    const bodies = [bodyOf(1, 'a'), bodyOf(2, noise(10_000)), bodyOf(3, 'c'), bodyOf(4, 'd')];
    const { ids, letters } = await run(results, bodies);
    expect(ids).toEqual([1, 3, 4]);
    expect(letters).toMatchObject([{ code: 'STREAM_RESULT_FAILED', operator: 'texts' }]);
    const result = Buffer.from(letters[0]?.payloadBase64 ?? '', 'base64');
    expect(JSON.parse(result.toString())).toMatchObject({ key: '2', windowEnd: 3_000 });
  });

  it('in what its error says keeps the beginning of that', async () => {
    const shouting = topology('shouting', (t) => {
      t.source('shouting', source)
        .map((e): { id: number; text: string } => {
          throw new Error(e.text.repeat(1_000));
        })
        .toLake('texts', { schema: row });
    });
    const { letters } = await run(shouting, [bodyOf(1, noise(10_000))]);
    expect(letters).toHaveLength(1);
    expect(letters[0]?.message).toHaveLength(2_000);
  });
});
