// Goal: names are identity, positions are not. Lines swapped in the source change nothing; what means something
// else is known as such. Once two windows swapped in the source had their state mixed, and nothing told so.
import { Type } from 'typebox';
import {
  average,
  count,
  days,
  hours,
  max,
  sum,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { planHash } from '../../../shared/model/plan-document';
import { functionNotes, plan, planDocument } from '../../../shared/planner';
import { testTopology } from '../../../shared/testing';

const post = Type.Object({ author: Type.String(), time: Timestamp(), words: Type.Integer() });
const figure = Type.Object({ key: Type.String(), figure: Type.Number() });

interface Shape {
  readonly isSwapped?: boolean;
  readonly fold?: typeof sum;
  readonly version?: number;
  readonly keyVersion?: number;
  readonly size?: number;
  readonly window?: string;
  readonly key?: string;
  readonly isFiltered?: boolean;
  readonly isLocal?: boolean;
  readonly ceiling?: number;
}

/** Two keyBys and two windows, and stateless steps before and behind each. */
function posts(shape: Shape = {}): Topology {
  const { fold = sum, isFiltered = false, isLocal = false, isSwapped = false } = shape;
  return topology('posts', (t) => {
    const source = t.source('posts', { schema: post, eventTime: (e) => e.time });
    const kept = isFiltered ? source.filter((e) => e.words > 0) : source;
    const parts = [
      (): void =>
        kept
          .map((e) => ({ ...e, words: Math.min(e.words, shape.ceiling ?? 100) }))
          .keyBy((e) => e.author, {
            name: shape.key ?? 'author',
            isPartitionedBySource: isLocal,
            ...(shape.keyVersion !== undefined && { version: shape.keyVersion }),
          })
          .window(tumbling(shape.size ?? hours(1)), {
            name: shape.window ?? 'words',
            ...(shape.version !== undefined && { version: shape.version }),
          })
          .aggregate({ figure: fold((e: { words: number }) => e.words) })
          .map((w) => ({ key: w.key, figure: w.figure ?? 0 }))
          .toLake('words', { schema: figure }),
      (): void =>
        kept
          .keyBy((e) => `all of ${e.author}`, { name: 'all', isPartitionedBySource: isLocal })
          .window(tumbling(days(1)), { name: 'posts' })
          .aggregate({ figure: count() })
          .map((w) => ({ key: w.key, figure: w.figure }))
          .toLake('posts', { schema: figure }),
    ];
    for (const part of isSwapped ? parts.reverse() : parts) part();
  });
}

const hashOf = (shape: Shape): string => planHash(planDocument(posts(shape)));
const fingerprintsOf = (shape: Shape): Record<string, string> =>
  Object.fromEntries(
    planDocument(posts(shape))
      .nodes.filter(({ fingerprint }) => fingerprint !== null)
      .map(({ fingerprint, id }) => [id, JSON.stringify(fingerprint)]),
  );

describe('two keyBys and two windows swapped in the source', () => {
  it('make the same plan document, hash, stages, hubs and functions', () => {
    const [before, after] = [posts(), posts({ isSwapped: true })];
    expect(planDocument(after)).toEqual(planDocument(before));
    expect(hashOf({ isSwapped: true })).toBe(hashOf({}));
    const withoutOperators = (subject: Topology) => {
      const { hubs, stages, tables } = plan([subject]);
      return { hubs, tables, stages: stages.map((stage) => ({ ...stage, operators: [] })) };
    };
    expect(withoutOperators(after)).toEqual(withoutOperators(before));
    // Only what messages call a step is a number.
    expect(JSON.stringify(planDocument(before))).not.toMatch(/(map|filter)-\d/);
  });

  it.each([true, false])('keep their own state (without an exchange: %s)', async (isLocal) => {
    const atMs = Date.UTC(2026, 0, 1);
    const of = (minute: number, words: number) => ({
      ...{ author: 'ada', time: atMs + minute * 60_000, words },
    });
    const test = testTopology(posts({ isLocal }))
      .send('posts', [of(1, 99), of(2, 99), of(3, 99)])
      .deploy(posts({ isLocal, isSwapped: true }))
      .send('posts', [of(4, 4)])
      .end();
    expect(await test.table('posts')).toEqual([{ key: 'all of ada', figure: 4 }]);
    expect(await test.table('words')).toEqual([{ key: 'ada', figure: 301 }]);
  });
});

describe('a plan hash', () => {
  it('is the same where only functions were changed, which notes tell', () => {
    const notes = (shape: Shape) => functionNotes(posts(shape));
    const changed = topology('posts', (t) => {
      const source = t.source('posts', { schema: post, eventTime: (e) => e.time + 0 });
      source
        .keyBy((e) => `${e.author}`, { name: 'author' })
        .window(tumbling(1), { name: 'words' })
        .aggregate({ figure: sum((e) => e.words + 1) })
        .map(() => ({ key: '', figure: 0 }))
        .toLake('words', { schema: figure });
    });
    expect(hashOf({ ceiling: 3 })).toBe(hashOf({}));
    const before = new Map(notes({}).map(({ place, textHash }) => [place, textHash]));
    const after = new Map(functionNotes(changed).map(({ place, textHash }) => [place, textHash]));
    for (const place of [
      'source posts.eventTime',
      'keyBy author.key',
      'window words.aggregates.0.1.select',
    ]) {
      expect(before.get(place)).toMatch(/^[0-9a-f]{16}$/);
      expect(after.get(place)).not.toBe(before.get(place));
    }
    expect(notes({ isSwapped: true }).filter(({ place }) => !/ (map|filter)/.test(place))).toEqual(
      notes({}).filter(({ place }) => !/ (map|filter)/.test(place)),
    );
  });

  it.each<[string, Shape]>([
    ['another version of a window', { version: 2 }],
    ['another version of a key', { keyVersion: 2 }],
    ['another size', { size: hours(2) }],
    ['another aggregate of the same name', { fold: average as never }],
    ['the greatest instead of the sum', { fold: max as never }],
    ['another name of a window', { window: 'other' }],
    ['another name of a key', { key: 'other' }],
    ['a step that was added', { isFiltered: true }],
    ['a key that the source is partitioned by', { isLocal: true }],
  ])('tells %s', (_what, shape) => {
    expect(hashOf(shape)).not.toBe(hashOf({}));
  });
});

describe('the fingerprint of a stateful node', () => {
  it.each<[string, Shape]>([
    ['its version', { version: 2 }],
    ['the version of its key', { keyVersion: 2 }],
    ['its configuration', { size: hours(2) }],
    ['the kind of an aggregate', { fold: average as never }],
    ['its key', { key: 'other' }],
  ])('changes with %s', (_what, shape) => {
    const [before, after] = [fingerprintsOf({}), fingerprintsOf(shape)];
    expect(after['window words']).not.toBe(before['window words']);
    expect(after['window posts']).toBe(before['window posts']);
  });

  it.each<[string, Shape]>([
    ['the order of lines', { isSwapped: true }],
    ['a step before it', { isFiltered: true }],
    ['the text of a function', { ceiling: 3 }],
  ])('stays with %s', (_what, shape) => {
    expect(fingerprintsOf(shape)).toEqual(fingerprintsOf({}));
  });
});

it('names what a plan document does not: unnamed steps are on the way, not nodes', () => {
  const [node] = planDocument(posts({ isFiltered: true })).nodes.filter(
    ({ id }) => id === 'keyBy author',
  );
  expect(node?.inputs).toEqual(['source posts → filter → map']);
});
