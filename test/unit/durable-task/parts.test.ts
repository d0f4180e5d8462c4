// Goal: the small parts do what their names say: rows, keys, settings, partitions, the worker pool.
// Method: data in, data out; the pool with workers that answer by hand.
import { activityFailure } from '../../../local/durable-task/failures';
import type { HistoryEvent } from '../../../local/durable-task/history-event';
import {
  deterministicGuid,
  entityIdOf,
  entityInstanceId,
  fromKey,
  toKey,
} from '../../../local/durable-task/names';
import { partitionMoves } from '../../../local/durable-task/partitions';
import { columnsOf, eventOf, rowKeyOf } from '../../../local/durable-task/rows';
import { readDurableSettings } from '../../../local/durable-task/settings';
import type { Fault } from '../../../local/settings/json-file';
import { SettingReader } from '../../../local/settings/setting-reader';
import { FunctionFailed, WorkerPool } from '../../../local/durable-task/worker-pool';
import type { RunFunction } from '../../../local/durable-task/worker-messages';
import {
  childCreated,
  completed,
  end,
  episode,
  failed,
  fired,
  raised,
  scheduled,
  started,
  suspended,
  timerCreated,
} from '../../support/durable-history';

describe('rows', () => {
  const events: HistoryEvent[] = [
    ...[episode(), started({ a: 1 }), scheduled(0), completed(0, 'x'), failed(0), end()],
    ...[timerCreated(1, 5), fired(1, 5), raised('go', null), childCreated(2), suspended()],
    { ...raised('nothing'), Input: null } as HistoryEvent,
  ];

  it.each(events.map((event) => [event.EventType, event] as const))(
    'event type %i comes back as it was',
    (_type, event) => {
      const columns = columnsOf(event);
      expect(Object.values(columns)).not.toContain(null);
      const row = { ...columns, partitionKey: 'p', rowKey: 'r', etag: 'e', ExecutionId: 'x' };
      expect(eventOf(row)).toEqual(event);
    },
  );

  it('sort by their number', () => {
    expect(rowKeyOf(255)).toBe('00000000000000FF');
    expect(rowKeyOf(9) < rowKeyOf(10)).toBe(true);
  });
});

describe('names', () => {
  it.each(['plain', 'a:b', 'a/b\\c#d?e', 'with ^ and \u0001', 'ä@b'])(
    '%j is a key and comes back',
    (name) => {
      expect(toKey(name)).not.toMatch(/[/\\#?\u0000-\u001f]/);
      expect(fromKey(toKey(name))).toBe(name);
    },
  );

  it('of entities carry the name in lower case and any key', () => {
    expect(entityInstanceId({ name: 'Counter', key: 'A@b' })).toBe('@counter@A@b');
    expect(entityIdOf('@counter@A@b')).toEqual({ name: 'counter', key: 'A@b' });
    expect(entityIdOf('orchestration@x')).toBe(null);
  });

  it('give the same guid to the same parts', () => {
    expect(deterministicGuid('a', 1)).toBe(deterministicGuid('a', 1));
    expect(deterministicGuid('a', 1)).not.toBe(deterministicGuid('a', 2));
    expect(deterministicGuid('a', 1)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab]/);
  });
});

describe('settings', () => {
  const read = (section: Record<string, unknown>) => {
    const faults: Fault[] = [];
    const place = { file: 'host.json', path: 'extensions.durableTask', faults };
    return { settings: readDurableSettings(new SettingReader(section, place)), faults };
  };

  it('have the real host’s defaults and tell what has no effect', () => {
    const { settings, faults } = read({ storageProvider: { type: 'mssql' } });
    expect(faults).toEqual([]);
    expect(settings.hubName).toBe('TestHubName');
    expect(settings.notes).toEqual([
      'extensions.durableTask.storageProvider has no effect on this host',
    ]);
  });

  it('are read by their names in any case', () => {
    const { settings, faults } = read({ HubName: 'MyHub', MaxConcurrentActivityFunctions: 3 });
    expect(faults).toEqual([]);
    expect(settings).toMatchObject({ hubName: 'MyHub', maxConcurrentActivityFunctions: 3 });
    expect(settings.notes).toEqual([]);
  });

  it('report every fault', () => {
    const { faults } = read({ hubName: '1-2', maxConcurrentActivityFunctions: 0 });
    expect(faults.map(({ path, message }) => `${path}: ${message}`).sort()).toEqual([
      expect.stringMatching(/^extensions\.durableTask\.hubName: must be 3 to 45 letters/),
      'extensions.durableTask.maxConcurrentActivityFunctions: must be a whole number of at least 1, not 0',
    ]);
  });
});

describe('failures', () => {
  it('carry details when the app gives its errors’ properties', () => {
    const text = JSON.stringify({ errorType: 'Broken', errorMessage: 'x', properties: { a: 1 } });
    expect(activityFailure('work', text).FailureDetails).toMatchObject({
      ErrorType: 'Broken',
      ErrorMessage: 'x',
      Properties: { a: 1 },
    });
    expect(activityFailure('work', '{"a":1}').FailureDetails).toBe(undefined);
    expect(activityFailure('work', '{broken').Reason).toBe(
      "Activity function 'work' failed:  {broken",
    );
  });
});

describe('partitions', () => {
  const nowMs = 1_000_000;
  const row = (partition: number, owner: string, nextOwner = '', leftMs = 5_000) => ({
    ...{ partition, owner, nextOwner },
    expiresAt: new Date(nowMs + leftMs),
  });
  const moves = (rows: ReturnType<typeof row>[], gone: string[] = []) =>
    partitionMoves({
      self: 'me',
      partitions: rows,
      nowMs,
      isGone: (owner) => gone.includes(owner),
    });

  it('that are free, expired or of a dead host are taken', () => {
    const rows = [row(0, ''), row(1, 'other', '', -1), row(2, 'dead'), row(3, 'me')];
    expect(moves(rows, ['dead'])).toEqual({
      renew: [3],
      acquire: [0, 1, 2],
      handOver: [],
      ask: [],
    });
  });

  it('are asked for one by one until the shares are fair', () => {
    const all = [0, 1, 2, 3].map((partition) => row(partition, 'other'));
    expect(moves(all).ask).toEqual([0]);
    const asking = [row(0, 'other', 'me'), ...all.slice(1)];
    expect(moves(asking).ask).toEqual([]);
    const half = [row(0, 'me'), row(1, 'me'), row(2, 'other'), row(3, 'other')];
    expect(moves(half).ask).toEqual([]);
  });

  it('that another one asks for are handed over, not to a dead one', () => {
    expect(moves([row(0, 'me', 'other'), row(1, 'me')]).handOver).toEqual([0]);
    expect(moves([row(0, 'me', 'dead'), row(1, 'me')], ['dead']).renew).toEqual([0, 1]);
  });
});

describe('the worker pool', () => {
  class HandWorker {
    readonly sent: RunFunction[] = [];
    readonly send = (run: RunFunction): void => void this.sent.push(run);
  }

  const newPool = (limit: number, functionTimeoutMs = 60_000): WorkerPool =>
    new WorkerPool({
      limits: { activity: limit, orchestrator: 1, entity: 1 },
      functionTimeoutMs,
    });
  const invocation = {
    kind: 'activity' as const,
    functionName: 'work',
    data: null,
    instanceId: 'i',
  };

  it('spreads over workers, up to their limit, and goes on as they answer', async () => {
    const pool = newPool(1);
    const [left, right] = [new HandWorker(), new HandWorker()];
    pool.add(1, left.send);
    pool.add(2, right.send);
    const results = [1, 2, 3].map(() => pool.invoke(invocation));
    expect([left.sent.length, right.sent.length]).toEqual([1, 1]);
    pool.ran(1, { kind: 'durable-ran', id: left.sent[0]?.id ?? 0, isOk: true, value: '"a"' });
    expect(left.sent).toHaveLength(2);
    expect(await results[0]).toBe('"a"');
  });

  it('gives a dead worker’s work to another, and nothing to one that leaves', async () => {
    const pool = newPool(5);
    const [first, second] = [new HandWorker(), new HandWorker()];
    pool.add(1, first.send);
    const result = pool.invoke(invocation);
    pool.leave(1);
    const later = pool.invoke(invocation);
    expect(first.sent).toHaveLength(1);
    pool.add(2, second.send);
    pool.remove(1);
    expect(second.sent).toHaveLength(2);
    for (const { id } of second.sent) {
      pool.ran(2, { kind: 'durable-ran', id, isOk: true, value: null });
    }
    expect([await result, await later]).toEqual([null, null]);
  });

  it('fails an activity that ran over its time, and runs an orchestrator again', async () => {
    const pool = newPool(5, 0);
    const [first, second] = [new HandWorker(), new HandWorker()];
    pool.add(1, first.send);
    const failing = pool.invoke(invocation);
    void pool.invoke({ ...invocation, kind: 'orchestrator' });
    pool.add(2, second.send);
    pool.remove(1);
    await expect(failing).rejects.toThrow(FunctionFailed);
    expect(second.sent).toHaveLength(1);
  });
});
