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
