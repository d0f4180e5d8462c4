// Goal: a stage begins where keys change and nowhere else; streams that meet by key share one exchange.
import { Type } from 'typebox';
import { GraphBuilder } from '../../../shared/dataflow/builder';
import { count, days, hours, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import type { Edge, Topology } from '../../../shared/dataflow/graph';
import { StreamError } from '../../../shared/model/errors';
import { plan, planTopology } from '../../../shared/planner';
import { placesIn } from '../../support/fault-places';

const schema = Type.Object({ id: Type.String(), time: Timestamp() });
const row = Type.Object({ events: Type.Integer() });

/** The graph that the builder's methods make, for what several streams can meet in. */
class Graph {
  readonly #graph = new GraphBuilder();

  source(name: string): Edge {
    const early = { limitMs: 0, policy: 'deadLetter' } as const;
    const times = { outOfOrdernessMs: 0, quiet: null, early };
    const id = this.#graph.add({ kind: 'source', schema, eventTime: () => 0, ...times }, name);
    return this.#edge(id);
  }

  keyBy(from: readonly Edge[], name: string, isPartitionedBySource = false): Edge {
    const node = { kind: 'keyBy', inputs: [from], key: () => '', version: 1 } as const;
    return this.#edge(this.#graph.add({ ...node, isPartitionedBySource }, name));
  }

  /** Takes keyed values by one port, or each of its edges by a port of its own. */
  window(name: string, ...inputs: readonly (readonly Edge[])[]): Edge {
    const node = { kind: 'window', inputs, sizeMs: 1, graceMs: 0, late: 'drop' } as const;
    return this.#edge(this.#graph.add({ ...node, aggregates: [], version: 1 }, name));
  }

  table(from: readonly Edge[], name: string): void {
    const flush = { rowsMax: 1, bytesMax: 1, ageMaxMs: 1 };
    const table = { name, columns: [], partitionBy: [], format: 'delta', flush } as const;
    this.#graph.add({ kind: 'toLake', inputs: [from], table }, name);
  }

  finish(): Topology {
    return this.#graph.finish('met', { attemptsMax: 1, ageMaxMs: 1 });
  }

  #edge(from: number): Edge {
    return { from, output: 0 };
  }
}

const shown = (subject: Topology) =>
  planTopology(subject).map(({ exits, inside, plan: stage }) => ({
    name: stage.name,
    hub: stage.input.hub,
    ...(stage.input.kind === 'exchange' && {
      producers: stage.input.producers.map(({ port, stage: name }) => `${name}:${port}`),
    }),
    inside: inside.map(({ name }) => name),
    sends: stage.exchanges.map(({ hub, port }, index) => `${exits[index]?.name} ${hub}:${port}`),
  }));

describe('streams of two sources that meet by key', () => {
  const joined = (isLeftFirst: boolean): Topology => {
    const graph = new Graph();
    const sides = isLeftFirst ? ['orders', 'payments'] : ['payments', 'orders'];
    const keyed = sides.map((side) => [side, graph.keyBy([graph.source(side)], `of-${side}`)]);
    const [left, right] = ['orders', 'payments'].map((side) =>
      keyed.flatMap(([name, edge]) => (name === side ? [edge as Edge] : [])),
    );
    graph.table([graph.window('paid', left ?? [], right ?? [])], 'paid');
    return graph.finish();
  };

  it('have one exchange, with a port for each keyBy', () => {
    expect(shown(joined(true))).toEqual([
      {
        ...{ name: 'orders', hub: 'orders', inside: [] },
        sends: ['of-orders met-of-orders-of-payments:0'],
      },
      {
        ...{ name: 'payments', hub: 'payments', inside: [] },
        sends: ['of-payments met-of-orders-of-payments:1'],
      },
      {
        ...{ name: 'by-of-orders-of-payments', hub: 'met-of-orders-of-payments', sends: [] },
        producers: ['orders:0', 'payments:1'],
        inside: ['paid', 'paid'],
      },
    ]);
    const { hubs } = plan([joined(true)]);
    expect(hubs.map(({ consumerGroups, name }) => [name, consumerGroups.length])).toEqual([
      ['orders', 2],
      ['payments', 2],
      ['met-of-orders-of-payments', 2],
    ]);
  });

  it('have the same stages, ports and hubs in whatever order they are written', () => {
    expect(shown(joined(false))).toEqual(shown(joined(true)));
    expect(plan([joined(false)])).toEqual(plan([joined(true)]));
  });
});

it('a union of two sources runs what follows in both stages, up to the exchange that both send to', () => {
  const graph = new Graph();
  const both = [graph.source('east'), graph.source('west')];
  graph.table(both, 'raw');
  graph.table([graph.window('sums', [graph.keyBy(both, 'key')])], 'sums');
  expect(shown(graph.finish())).toEqual([
    { name: 'east', hub: 'east', inside: ['raw'], sends: ['key met-key:0'] },
    { name: 'west', hub: 'west', inside: ['raw'], sends: ['key met-key:0'] },
    {
      ...{ name: 'by-key', hub: 'met-key', inside: ['sums', 'sums'], sends: [] },
      producers: ['east:0', 'west:0'],
    },
  ]);
  expect(plan([graph.finish()]).tables.map(({ name }) => name)).toEqual(['raw', 'sums']);
});

describe('a keyBy whose source is partitioned by the key', () => {
  it('has an exchange all the same where it takes from two sources', () => {
    const graph = new Graph();
    const key = graph.keyBy([graph.source('east'), graph.source('west')], 'key', true);
    graph.table([graph.window('sums', [key])], 'sums');
    expect(shown(graph.finish()).map(({ name }) => name)).toEqual(['east', 'west', 'by-key']);
  });

  it('has one where it meets a keyBy of another stage', () => {
    const graph = new Graph();
    const sides = ['east', 'west'].map((side) =>
      graph.keyBy([graph.source(side)], `k-${side}`, true),
    );
    graph.table([graph.window('sums', sides)], 'sums');
    const stages = shown(graph.finish());
    expect(stages.map(({ name }) => name)).toEqual(['east', 'west', 'by-k-east-k-west']);
  });

  it('has none where both sides are keyed in one stage', () => {
    const graph = new Graph();
    const source = graph.source('east');
    const sides = ['k1', 'k2'].map((name) => graph.keyBy([source], name, true));
    graph.table([graph.window('sums', sides)], 'sums');
    expect(shown(graph.finish()).map(({ name }) => name)).toEqual(['east']);
  });
});

it('refuses a stage that would wait for its own results, with the place of what brings them together', () => {
  const graph = new Graph();
  const first = graph.keyBy([graph.source('east')], 'raw');
  const second = graph.keyBy([graph.window('sums', [first])], 'again');
  graph.table([graph.window('both', [first], [second])], 'both');
  const subject = graph.finish();
  expect(() => plan([subject])).toThrow(
    /window both brings together again and raw, of which one comes of the other's results/,
  );
  expect(placesIn(() => plan([subject]))).toHaveLength(1);
});

describe('names that two have', () => {
  const one = (name: string, source: string, key: string): Topology =>
    topology(name, (t) => {
      t.source(source, { schema, eventTime: (e) => e.time })
        .keyBy((e) => e.id, { name: key })
        .window(tumbling(days(1)), { name: 'days' })
        .aggregate({ events: count() })
        .toLake(`${name}_rows`, { schema: row });
    });

  it.each<[string, RegExp, readonly Topology[]]>([
    [
      'functions',
      /two functions would be called aa-bb-cc/,
      [one('aa-bb', 'cc', 'kk'), one('aa', 'bb-cc', 'kk')],
    ],
    [
      'exchange hubs',
      /two exchange hubs would be called aa-bb-cc/,
      [one('aa-bb', 'in', 'cc'), one('aa', 'in', 'bb-cc')],
    ],
    [
      'a source and an exchange',
      /hub aa-kk is a source, and would be the exchange of a keyBy too/,
      [one('aa', 'in', 'kk'), one('bb', 'aa-kk', 'xx')],
    ],
    ['topologies', /two topologies are called aa/, [one('aa', 'in', 'kk'), one('aa', 'in', 'kk')]],
  ])('%s are refused with both places', (_what, message, subjects) => {
    expect(() => plan(subjects)).toThrow(message);
    const texts = placesIn(() => plan(subjects));
    expect(texts.length).toBeGreaterThanOrEqual(2);
    for (const place of texts) expect(place).toContain('stages.test.ts');
  });

  it('stages of one topology are refused with both places', () => {
    const subject = topology('aa', (t) => {
      const source = t.source('by-kk', { schema, eventTime: (e) => e.time });
      source
        .keyBy((e) => e.id, { name: 'kk' })
        .window(tumbling(hours(1)), { name: 'hours' })
        .aggregate({ events: count() })
        .toLake('rows', { schema: row });
    });
    expect(() => plan([subject])).toThrow(/two stages would be called by-kk/);
    expect(placesIn(() => plan([subject]))).toHaveLength(2);
  });

  it('a consumer group that Event Hubs would refuse is told before anything is made', () => {
    const subject = one('a'.repeat(30), 'b'.repeat(30), 'kk');
    expect(() => plan([subject])).toThrow(/has 61 characters, Event Hubs allows 50/);
  });
});

it('two keyBys of one name are refused with both places', () => {
  const define = (): unknown =>
    topology('twins', (t) => {
      const source = t.source('in', { schema, eventTime: (e) => e.time });
      for (const table of ['one', 'two']) {
        source
          .keyBy((e) => e.id, { name: 'same' })
          .window(tumbling(hours(1)), { name: `w-${table}` })
          .aggregate({ events: count() })
          .toLake(table, { schema: row });
      }
    });
  expect(define).toThrow(StreamError);
  expect(define).toThrow(/two keyBys have the name same/);
  expect(placesIn(define)).toHaveLength(2);
});
