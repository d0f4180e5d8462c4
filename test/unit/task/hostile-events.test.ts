// Goal: an event of an odd shape ends like any other, and those beside it are none the worse. Each
// of these once made a task try for ever, or lost what it had counted.
import { gunzipSync } from 'node:zlib';
import { Type } from 'typebox';
import { readLog, listLogs } from '../../../shared/commit-log/log-reader';
import type { DeadLetter } from '../../../shared/model/commit';
import { count, Timestamp, topology, tumbling, type Topology } from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

const row = Type.Object({ id: Type.Integer() });

async function run(defined: Topology, bodies: readonly (string | Uint8Array)[]) {
  const world = new StageWorld({ topologies: [defined], partitionCount: 1 });
  world.hub('events').append(0, ...bodies.map((body) => Buffer.from(body)));
  await world.deliver(world.worker(), { stage: 'events', partition: 0 });
  await world.finish(world.worker());
  const letters: DeadLetter[] = [];
  for (const path of await listLogs(world.appends, defined.name)) {
    for (const record of (await readLog(world.appends, path, null)).records) {
      if (record.kind === 'commit') letters.push(...record.deadLetters);
    }
  }
  const [ledger] = await world.worker().ledgers(`${defined.name}-events`);
  const tables = defined.nodes.flatMap((node) => (node.kind === 'toLake' ? [node.table.name] : []));
  const rows = await world.rows(tables[0] ?? '');
  return { ledger, letters, rows };
}

const payloadOf = (letter: DeadLetter | undefined): unknown => {
  const bytes = Buffer.from(letter?.payloadBase64 ?? '', 'base64');
  return JSON.parse((bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString());
};

describe('an event', () => {
  it('nested deeper than ingest allows is a dead letter with its bytes', async () => {
    const defined = topology('deep', (t) => {
      t.source('events', {
        schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
        eventTime: (e) => e.time,
      })
        .map(({ id }) => ({ id }))
        .toLake('seen', { schema: row });
    });
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const { letters, rows } = await run(defined, [
      '{"id":1,"time":1}',
      `{"id":"no","time":2,"more":${deep}}`,
      `[{"id":"no","time":2,"more":${deep}}]`,
      `{"id":"no","time":2,"more":${deep}}\n{"id":2,"time":3}`,
      '{"id":3,"time":3}',
    ]);
    expect(rows).toEqual(['[1]', '[2]', '[3]']);
    expect(letters.map(({ code }) => code)).toEqual([
      'STREAM_EVENT_UNDECODABLE',
      'STREAM_EVENT_UNDECODABLE',
      'STREAM_EVENT_UNDECODABLE',
    ]);
    for (const letter of letters) {
      // A message in which nothing is JSON is kept whole.
      expect([payloadOf(letter)].flat()).toMatchObject([{ id: 'no', time: 2 }]);
    }
  });

  it('whose time has a fraction of a millisecond goes through like any other', async () => {
    const defined = topology('fractions', (t) => {
      t.source('events', {
        schema: Type.Object({ id: Type.Integer(), seconds: Type.Number() }),
        eventTime: (e) => e.seconds * 1_000,
      })
        .map(({ id }) => ({ id }))
        .toLake('seen', { schema: row });
    });
    const { rows, ledger } = await run(defined, [
      '{"id":1,"seconds":1.0005}',
      '{"id":2,"seconds":1.0015}',
    ]);
    expect(rows).toEqual(['[1]', '[2]']);
    expect(ledger).toMatchObject({ read: 2, emitted: 2 });
  });

  it('that a function changed before it threw is kept as it came', async () => {
    const defined = topology('changing', (t) => {
      t.source('events', {
        schema: Type.Object({
          id: Type.Integer(),
          time: Timestamp(),
          self: Type.Optional(Type.Any()),
        }),
        eventTime: (e) => e.time,
      })
        .map((e) => {
          if (e.id === 2) {
            (e as { self?: unknown }).self = e;
            throw new Error('no');
          }
          return { id: e.id };
        })
        .toLake('seen', { schema: row });
    });
    const { letters, rows } = await run(defined, [
      '{"id":1,"time":1}',
      '{"id":2,"time":2}',
      '{"id":3,"time":3}',
    ]);
    expect(rows).toEqual(['[1]', '[3]']);
    expect(letters.map(payloadOf)).toEqual([{ id: 2, time: 2 }]);
  });

  it('for which a function throws what has no text is a dead letter', async () => {
    const defined = topology('mute', (t) => {
      t.source('events', {
        schema: Type.Object({ id: Type.Integer(), time: Timestamp() }),
        eventTime: (e) => e.time,
      })
        .map((e): { id: number } => {
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- users may
          throw Object.assign(Object.create(null) as object, { of: e.id });
        })
        .toLake('seen', { schema: row });
    });
    const { letters } = await run(defined, ['{"id":1,"time":1}']);
    expect(letters).toMatchObject([{ message: 'what was thrown cannot be written as text' }]);
  });

  it.each([
    [8e15, ['[2]']],
    [-1e15, ['[2]']],
    [-1, ['[2]']],
    [8e15 + 1, []],
    [-1e15 - 1, []],
    [8.64e15, []],
    [-8.64e15, []],
  ])(
    'dated %d is counted by whoever gives its window out, or is a dead letter',
    async (time, expected) => {
      const defined = topology('far', (t) => {
        t.source('events', {
          schema: Type.Object({ key: Type.String(), time: Timestamp() }),
          eventTime: (e) => e.time,
          // The bounds of time itself, not what a source takes for too early.
          early: { limit: Number.MAX_SAFE_INTEGER },
        })
          .keyBy((e) => e.key, { name: 'key', isPartitionedBySource: true })
          .window(tumbling(1_000), { name: 'windows' })
          .aggregate({ events: count() })
          .map(({ events }) => ({ id: events }))
          .toLake('seen', { schema: row });
      });
      const { letters, rows } = await run(defined, [
        JSON.stringify({ key: 'a', time }),
        JSON.stringify({ key: 'a', time }),
      ]);
      expect(rows).toEqual(expected);
      expect(letters).toHaveLength(expected.length === 0 ? 2 : 0);
    },
  );
});
