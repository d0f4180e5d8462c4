// Goal: stages, hubs, consumer groups and names are what the dataflow asks for, and stay the same.
import { Type } from 'typebox';
import { emulatorConfig, explain, fitTo, plan } from '../../../shared/planner';
import { count, days, Timestamp, topology, tumbling } from '../../../shared/dataflow';
import { topologies } from '../../../topologies';

const event = Type.Object({ key: Type.String(), time: Timestamp() });
const row = Type.Object({ key: Type.String(), events: Type.Integer() });

const counting = (isPartitionedBySource: boolean) =>
  topology('counting', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .keyBy((e) => e.key, { name: 'key', isPartitionedBySource })
      .window(tumbling(days(1)), { name: 'windows' })
      .aggregate({ events: count() })
      .toLake('counts', { schema: row });
  });

describe('plan', () => {
  it('puts an exchange where keyBy changes the partitioning', () => {
    const { hubs, stages } = plan([counting(false)]);
    expect(stages.map(({ functionName, input }) => [functionName, input.kind, input.hub])).toEqual([
      ['counting-events', 'source', 'events'],
      ['counting-by-key', 'exchange', 'counting-key'],
    ]);
    expect(hubs.map(({ consumerGroups, name }) => [name, consumerGroups])).toEqual([
      ['events', ['millrace-recovery', 'counting-events']],
      ['counting-key', ['millrace-recovery', 'counting-by-key']],
    ]);
  });

  it('puts none where the source is partitioned by the key', () => {
    const { hubs, stages } = plan([counting(true)]);
    expect(stages).toHaveLength(1);
    expect(hubs.map(({ name }) => name)).toEqual(['events']);
  });

  it('refuses topologies and tables of one name', () => {
    expect(() => plan([counting(true), counting(true)])).toThrow(/counting.*counts/);
  });

  it('explains the shipped topologies and configures the emulator for them', () => {
    const planned = plan(topologies);
    const text = explain(planned, topologies, fitTo(planned, 'standard'));
    expect(text).toContain(
      'up to 1 h out of order; a dead letter from 1 d ahead of when it was enqueued',
    );
    expect(text).toContain('tumbling, 1 d; waits 2 h past its end, later ones are counted');
    expect(text).toMatch(/a file at [\d,]+ rows, [\d,.]+ MiB or \d+ \w+, whichever comes first/);
    expect(text).toContain('every event read has exactly one end');
    for (const { name } of [...planned.hubs, ...planned.tables]) expect(text).toContain(name);
    const { UserConfig } = emulatorConfig(planned) as {
      UserConfig: { NamespaceConfig: { Entities: { Name: string }[] }[] };
    };
    expect(UserConfig.NamespaceConfig[0]?.Entities.map(({ Name }) => Name)).toEqual(
      planned.hubs.map(({ name }) => name),
    );
  });
});

describe('explain', () => {
  const explained = (quiet?: { after: number; maxDelay: number }) => {
    const subject = topology('counting', (t) => {
      const options = { schema: event, eventTime: (e: { time: number }) => e.time };
      t.source('events', { ...options, ...(quiet && { quiet }) })
        .keyBy((e) => e.key, { name: 'key' })
        .window(tumbling(days(1)), { name: 'days' })
        .aggregate({ events: count() })
        .toLake('counts', { schema: row });
    });
    const planned = plan([subject]);
    return explain(planned, [subject], fitTo(planned, 'standard'));
  };

  it('says where the last windows wait, because no quiet is set', () => {
    expect(explained()).toContain('the last windows wait for the next event, or for a drain');
    const quiet = explained({ after: 60_000, maxDelay: 5_000 });
    expect(quiet).toMatch(/quiet +.*1 min/);
    expect(quiet).not.toContain('the last windows wait');
  });

  it('says which stages send to an exchange, and what of the tier is used', () => {
    const text = explained();
    expect(text).toContain('  from      events (port 0)');
    expect(text).toContain(
      'hub counting-key   exchange, 4 partitions, 2 consumer groups: millrace-recovery, counting-by-key',
    );
    expect(text).toMatch(/tier standard\n {2}hubs +2 of 10\n/);
  });
});

describe('a tier of Event Hubs', () => {
  const many = (topologies: number) =>
    plan(
      Array.from({ length: topologies }, (_, index) =>
        topology(`counting${index}`, (t) => {
          t.source('events', { schema: event, eventTime: (e) => e.time })
            .keyBy((e) => e.key, { name: 'key' })
            .window(tumbling(days(1)), { name: 'days' })
            .aggregate({ events: count() })
            .toLake(`counts${index}`, { schema: row });
        }),
      ),
    );

  it('allows what fits to the last hub, and nothing more', () => {
    expect(fitTo(many(9), 'standard').exceeded).toEqual([]);
    expect(fitTo(many(10), 'standard').exceeded).toEqual([
      expect.stringMatching(/^hubs of the namespace: 11, standard allows 10: /),
    ]);
    expect(fitTo(many(10), 'premium').exceeded).toEqual([]);
  });

  it('bounds consumer groups and partitions of a hub', () => {
    expect(fitTo(many(20), 'standard').exceeded).toContainEqual(
      expect.stringMatching(/^consumer groups of hub events: 21, standard allows 20: /),
    );
    const subject = counting(true);
    const wide = plan([subject], { partitionCounts: { events: 33 } });
    expect(fitTo(wide, 'standard').exceeded).toEqual([
      'partitions of hub events: 33, standard allows 32: take fewer',
    ]);
    expect(fitTo(wide, 'premium').exceeded).toEqual([]);
  });

  it('is never basic: readers for recovery need a consumer group of their own', () => {
    expect(fitTo(plan([counting(true)]), 'basic').exceeded).toHaveLength(1);
  });
});
