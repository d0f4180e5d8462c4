// Goal: whatever an accepted message makes is committed, in as many commits as it takes, or is a dead
// letter; no size of it stops a partition. Each of these once did.
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Type } from 'typebox';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import type { CommitRecord, DeadLetter } from '../../../shared/model/commit';
import { defaultStageLimits } from '../../../shared/task/services';
import {
  count,
  reduce,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { StageWorld } from '../../support/stage-world';

jest.setTimeout(240_000);

/** Everything is measured by it: what is too large for it may be small. */
const smallBlockBytes = 256 * 1024;

const event = Type.Object({
  id: Type.Integer(),
  time: Timestamp(),
  text: Type.String(),
  copies: Type.Optional(Type.Integer()),
  throws: Type.Optional(Type.Boolean()),
});
type Event = {
  id: number;
  time: number;
  text: string;
  copies?: number;
  throws?: boolean;
};
const source = { schema: event, eventTime: (e: { time: number }) => e.time };
const row = Type.Object({ id: Type.Integer(), text: Type.String() });

/** Rows, an exchange, state and letters, each as large as its input says. */
const everything = topology('everything', (t) => {
  const shaped = t.source('events', source).flatMap(function* (e: Event) {
    if (e.throws === true) throw new Error(e.text);
    for (let copy = 0; copy < (e.copies ?? 1); copy += 1) yield { ...e, id: e.id };
  });
  shaped.map(({ id, text }) => ({ id, text })).toLake('texts', { schema: row });
  shaped
    .keyBy((e) => e.text, { name: 'text' })
    .window(tumbling(1_000), { name: 'windows' })
    .aggregate({
      events: count(),
      longest: reduce('', (longest, e: Event) =>
        e.text.length > longest.length ? e.text : longest,
      ),
    })
    .map(({ events, longest }) => ({ id: events, text: longest }))
    .toLake('windows', { schema: row });
});

async function commitsOf(world: StageWorld, name: string): Promise<CommitRecord[]> {
  const commits: CommitRecord[] = [];
  for (const path of await listLogs(world.appends, name)) {
    for (const record of (await readLog(world.appends, path, null)).records) {
      if (record.kind === 'commit') commits.push(record);
    }
  }
  return commits;
}

function expectWhole(commits: readonly CommitRecord[], read: number): DeadLetter[] {
  const sum = { read: 0, ends: 0, letters: 0 };
  for (const { deadLetters, ledger } of commits) {
    sum.read += ledger.read;
    sum.ends += ledger.emitted + ledger.filtered + ledger.late + ledger.deadLettered;
    sum.letters += ledger.deadLettered;
    const letters = deadLetters.filter(({ code }) => code !== 'STREAM_RESULT_FAILED');
    expect(letters).toHaveLength(ledger.deadLettered);
  }
  expect([sum.read, sum.ends]).toEqual([read, read]);
  return commits.flatMap(({ deadLetters }) => deadLetters);
}

async function run(
  defined: Topology,
  bodies: readonly Uint8Array[],
  blockBytesMax = smallBlockBytes,
) {
  // No roll: all commits are there to be looked at.
  const log = { ...defaultStageLimits.log, blockBytesMax, bytesMax: Infinity };
  const world = new StageWorld({ topologies: [defined], partitionCount: 1, limits: { log } });
  world.hub('events').append(0, ...bodies);
  await world.finish(world.worker(), 1_000);
  return { world, commits: await commitsOf(world, defined.name) };
}

const filtered = topology('filtered', (t) => {
  t.source('events', source)
    .map(({ id, text }) => ({ id, text }))
    .toLake('texts', { schema: row });
});

describe('accepted input of any size is committed', () => {
  it('three gzip messages of 3,000 events that the schema refuses: a letter each, in order', async () => {
    const body = gzipSync('{"id":"no"}\n'.repeat(3_000));
    const { commits } = await run(filtered, [body, body, body]);
    const letters = expectWhole(commits, 9_000);
    expect(letters).toHaveLength(9_000);
    expect(letters.every(({ index }, n) => index === n % 3_000)).toBe(true);
    expect(commits.length).toBeGreaterThan(5);
  });

  it('three gzip messages of 100,000 lines that are no JSON: each is one letter with all its bytes', async () => {
    const body = gzipSync('not json\n'.repeat(100_000));
    const { commits } = await run(filtered, [body, body, body]);
    const letters = expectWhole(commits, 3);
    for (const { payloadBase64 } of letters) {
      expect(Buffer.from(payloadBase64, 'base64').equals(body)).toBe(true);
    }
  });

  it('100 messages that fill a commit, each kept as a row', async () => {
    const text = 'x'.repeat(70_000);
    const bodies = Array.from({ length: 100 }, (_, id) =>
      Buffer.from(JSON.stringify({ id, time: id, text })),
    );
    const { commits } = await run(filtered, bodies);
    expect(expectWhole(commits, 100)).toEqual([]);
    expect(commits.reduce((sum, { rows }) => sum + (rows[0]?.count ?? 0), 0)).toBe(100);
  });

  it('100 messages that fill a commit, each kept in the state', async () => {
    const kept = topology('kept', (t) => {
      t.source('events', source)
        .keyBy((e) => String(e.id), { name: 'key', isPartitionedBySource: true })
        .window(tumbling(1_000_000), { name: 'windows' })
        .aggregate({ text: reduce('', (_, e: Event) => e.text) })
        .map(({ key, text }) => ({ id: Number(key), text }))
        .toLake('texts', { schema: row });
    });
    const text = 'x'.repeat(70_000);
    const bodies = Array.from({ length: 100 }, (_, id) =>
      Buffer.from(JSON.stringify({ id, time: id, text })),
    );
    const { commits } = await run(kept, bodies);
    expect(expectWhole(commits, 100)).toEqual([]);
    expect(commits.reduce((sum, { rows }) => sum + (rows[0]?.count ?? 0), 0)).toBe(100);
  });

  it('a key of 3.3 MB is a dead letter, and its neighbours are counted', async () => {
    const keyed = topology('keyed', (t) => {
      t.source('events', source)
        .keyBy((e) => e.text, { name: 'key', isPartitionedBySource: true })
        .window(tumbling(1_000), { name: 'windows' })
        .aggregate({ events: count() })
        .map(({ events, key }) => ({ id: events, text: key }))
        .toLake('texts', { schema: row });
    });
    const body = (text: string): Buffer => gzipSync(JSON.stringify({ id: 1, time: 1, text }));
    const { commits, world } = await run(keyed, [
      body('a'),
      body('k'.repeat(3_300_000)),
      body('b'),
    ]);
    const letters = expectWhole(commits, 3);
    expect(letters).toMatchObject([{ code: 'STREAM_EVENT_TOO_LARGE', sequenceNumber: 1 }]);
    expect(letters[0]?.message).toMatch(/its key takes 3300001 bytes/);
    expect(await world.rows('texts')).toEqual(['[1,"a"]', '[1,"b"]']);
  });

  it('an event that makes rows without end is a dead letter as soon as no commit can hold them', async () => {
    const endless = topology('endless', (t) => {
      t.source('events', source)
        .flatMap(function* ({ id, text }: Event) {
          for (let copy = 0; copy < (id === 1 ? Infinity : 1); copy += 1) yield { id, text };
        })
        .toLake('texts', { schema: row });
    });
    const bodies = [0, 1, 2].map((id) =>
      Buffer.from(JSON.stringify({ id, time: id, text: 'x'.repeat(1_000) })),
    );
    const { commits } = await run(endless, bodies);
    const letters = expectWhole(commits, 3);
    expect(letters).toMatchObject([{ code: 'STREAM_EVENT_TOO_LARGE', sequenceNumber: 1 }]);
  });

  it('letters whose text is long, escaped sixfold, fill commits and no more', async () => {
    const shouting = topology('shouting', (t) => {
      t.source('events', source)
        .map((e): { id: number; text: string } => {
          throw new Error('\u0001'.repeat(100_000) + e.text);
        })
        .toLake('texts', { schema: row });
    });
    const bodies = Array.from({ length: 300 }, (_, id) =>
      Buffer.from(JSON.stringify({ id, time: id, text: '' })),
    );
    const { commits } = await run(shouting, bodies);
    expect(expectWhole(commits, 300)).toHaveLength(300);
    expect(commits.length).toBeGreaterThan(3);
  });
});

/** Around what the small blocks can hold, and far beyond. */
const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 400 }) },
  { weight: 2, arbitrary: fc.integer({ min: 20_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 120_000, max: 300_000 }) },
);
const aText = fc
  .tuple(length, fc.constantFrom('x', '\u0001', 'é', '✈', '\ud800', '"'))
  .map(([units, unit]) => unit.repeat(units));
const anEvent = fc.record({
  text: aText,
  copies: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 40 })),
  throws: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
  isInvalid: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
});

it('any mix of sizes of rows, letters, messages, keys and state goes through, each event with one end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(anEvent, { maxLength: 12 }), { maxLength: 6 }),
      async (messages) => {
        let id = 0;
        const bodies = messages.map((events) =>
          gzipSync(
            JSON.stringify(
              events.map(({ isInvalid, ...rest }) => {
                id += 1;
                return { ...rest, id: isInvalid ? 'no' : id, time: id * 300 };
              }),
            ),
          ),
        );
        const { commits, world } = await run(everything, bodies);
        for (const { functionName, input } of world.stages) {
          for (const ledger of await world.worker().ledgers(functionName)) {
            const { deadLettered, emitted, filtered, late, read } = ledger;
            expect(emitted + filtered + late + deadLettered).toBe(read);
            if (input.kind === 'source') expect(read).toBe(id);
          }
        }
        for (const { payloadBase64 } of commits.flatMap(({ deadLetters }) => deadLetters)) {
          const bytes = Buffer.from(payloadBase64, 'base64');
          expect(() => (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes)).not.toThrow();
        }
      },
    ),
    { numRuns: 25 },
  );
});
