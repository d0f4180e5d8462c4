// Goal: who writes an operator of his own and forgets a rule of the contract is told, at once or by a dead
// letter: what he reads from a store is not his to change, and what the log cannot hold stops no task.
import { Type } from 'typebox';
import { Timestamp, topology, type OperatorSpec, type Topology } from '../../../shared/dataflow';
import type { OperatorInstance, TaskContext } from '../../../shared/operators/contract';
import type { StoreShape } from '../../../shared/state/stores';
import { testTopology } from '../../../shared/testing';

const event = Type.Object({ key: Type.String(), time: Timestamp(), size: Type.Integer() });
const lines = Type.Object({ line: Type.String() });
const firstMs = Date.parse('2026-01-01T10:00:00Z');
const events = [1, 2, 3, 4, 5].map((size) => ({ key: 'a', time: firstMs + size * 1_000, size }));

interface Given {
  readonly size: number;
  readonly time: number;
}

function specOf(open: (context: TaskContext) => OperatorInstance, shape = {}): OperatorSpec<null> {
  return {
    kind: 'mine',
    stateVersion: 1,
    shape: () => ({
      inputs: [{ name: 'in', isKeyed: true }],
      outputs: [{ name: 'out' }],
      stores: [],
      timers: 'none',
      ...shape,
    }),
    describe: () => null,
    open: (_config, context) => open(context),
  };
}

function withOperator(spec: OperatorSpec<null>): Topology {
  return topology('lines', (t) => {
    t.source('events', { schema: event, eventTime: (e) => e.time })
      .keyBy((e) => e.key, { name: 'key' })
      .apply<null, unknown>(spec, null, { name: 'mine' })
      .map((value) => ({ line: JSON.stringify(value) }))
      .toLake('lines', { schema: lines });
  });
}

/** One store, and what is done with each row. */
function storing(
  kind: StoreShape['kind'],
  make: (context: TaskContext) => (value: Given) => void,
  shape = {},
): Topology {
  return withOperator(
    specOf(
      (context) => {
        const each = make(context);
        return {
          process: (_port, rows) => {
            for (let index = 0; index < rows.length; index += 1) {
              context.begin(rows, index);
              each(rows.values[index] as Given);
            }
          },
          onTimer: () => undefined,
        };
      },
      { stores: [{ name: 'kept', kind }], ...shape },
    ),
  );
}

async function endsOf(defined: Topology) {
  const run = testTopology(defined)
    .send('events', events.slice(0, 3))
    .restart()
    .send('events', events.slice(3))
    .end();
  const letters = (await run.deadLetters()).map(({ message }) => message);
  const rows = (await run.table('lines', lines)).map(({ line }) => line);
  return { letters, rows, ledger: (await run.ledger())['by-key'] };
}

describe('what is read from a store', () => {
  it('cannot be changed past the journal: a list that is pushed to is a dead letter, not a wrong list', async () => {
    const { letters, rows } = await endsOf(
      storing('value', (context) => {
        const kept = context.value<{ sizes: number[] }>('kept');
        return ({ size }) => {
          const found = kept.get() ?? { sizes: [] };
          found.sizes.push(size);
          kept.put(found);
          if (size === 2) throw new Error('not this one');
          context.emit(0, found.sizes);
        };
      }),
    );
    // The first makes the list; the others would change one that is kept.
    expect(rows).toEqual(['[1]']);
    expect(letters).toHaveLength(4);
    expect(letters[0]).toContain('not extensible');
  });

  it('is changed by update, which an event that fails has not done', async () => {
    const { letters, rows } = await endsOf(
      storing('value', (context) => {
        const kept = context.value<{ sizes: number[] }>('kept');
        return ({ size }) => {
          kept.update(() => ({ sizes: [] })).sizes.push(size);
          if (size === 2) throw new Error('not this one');
          context.emit(0, Array.from(kept.get()?.sizes ?? []));
        };
      }),
    );
    expect(rows).toEqual(['[1,3,4,5]', '[1,3,4]', '[1,3]', '[1]']);
    expect(letters).toEqual(['Error: not this one']);
  });

  it('is not changed by who holds on to what update gave', async () => {
    const { letters } = await endsOf(
      storing('map', (context) => {
        const kept = context.map<{ sizes: number[] }>('kept');
        const held: { sizes: number[] }[] = [];
        return ({ size }) => {
          held[0]?.sizes.push(size);
          held[0] ??= kept.update('all', () => ({ sizes: [] }));
          context.emit(0, size);
        };
      }),
    );
    // Also the first: what an operator holds on to is not undone with the events that ran together.
    expect(letters).toHaveLength(5);
    for (const letter of letters) expect(letter).toContain('not extensible');
  });
});

describe('a value that the log cannot hold is a dead letter of its event, and the task goes on', () => {
  const odd = new Map<string, unknown>([
    ['a map', new Map()],
    ['a date', new Date(0)],
    ['a function', () => 1],
    ['a promise', Promise.resolve(1)],
    ['bytes', new Uint8Array(2)],
    ['deep in an object', { in: [{ it: new Set() }] }],
  ]);
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  odd.set('what goes round', circle);

  it.each(Array.from(odd))('put: %s', async (_name, value) => {
    const { ledger, letters, rows } = await endsOf(
      storing('value', (context) => {
        const kept = context.value('kept');
        return ({ size }) => {
          kept.put(size === 2 ? value : size);
          context.emit(0, kept.get());
        };
      }),
    );
    expect(rows).toEqual(['1', '3', '4', '5']);
    expect(letters).toHaveLength(1);
    expect(letters[0]).toContain('store mine/kept');
    expect(ledger).toMatchObject({ read: 5, emitted: 4, deadLettered: 1 });
  });

  it.each(Array.from(odd))('changed by update: %s', async (_name, value) => {
    const { letters, rows } = await endsOf(
      storing('map', (context) => {
        const kept = context.map<{ last: unknown }>('kept');
        return ({ size }) => {
          kept.update('it', () => ({ last: null })).last = size === 2 ? value : size;
          context.emit(0, size);
        };
      }),
    );
    expect(rows).toEqual(['1', '3', '4', '5']);
    expect(letters).toHaveLength(1);
    expect(letters[0]).toContain('store mine/kept');
  });

  it.each(Array.from(odd))('appended: %s', async (_name, value) => {
    const { letters, rows } = await endsOf(
      storing('list', (context) => {
        const kept = context.list('kept');
        return ({ size }) => {
          kept.append(size === 2 ? value : size);
          context.emit(0, Array.from(kept.values()));
        };
      }),
    );
    expect(rows).toEqual(['[1,3,4,5]', '[1,3,4]', '[1,3]', '[1]']);
    expect(letters).toHaveLength(1);
  });

  it('left by a timer: all that the timer did goes, and it is over', async () => {
    const spec = specOf(
      (context) => {
        const kept = context.value<{ last: unknown }>('kept');
        return {
          process: (_port, rows) => {
            for (let index = 0; index < rows.length; index += 1) {
              context.begin(rows, index);
              const { size } = rows.values[index] as Given;
              kept.update(() => ({ last: 0 })).last = size;
              context.setTimer((rows.times[index] ?? 0) + 1);
            }
          },
          onTimer: ({ timeMs }) => {
            context.emit(0, kept.get());
            if (timeMs % 2_000 === 1) kept.update(() => ({ last: 0 })).last = new Date(timeMs);
          },
        };
      },
      { stores: [{ name: 'kept', kind: 'value' }], timers: 'event' },
    );
    const { letters, rows } = await endsOf(withOperator(spec));
    expect(rows).toHaveLength(3);
    expect(rows.every((row) => /^\{"last":\d\}$/.test(row))).toBe(true);
    expect(letters).toHaveLength(2);
    expect(letters[0]).toContain('a Date cannot be kept in the state');
  });
});

it('an operator that gives rows out without saying of which event is told so, and the ledger is right', async () => {
  const spec = specOf((context) => ({
    process: (_port, rows) => {
      for (const value of rows.values.slice(0, rows.length)) context.emit(0, value);
    },
  }));
  const { ledger, letters, rows } = await endsOf(withOperator(spec));
  expect(rows).toEqual([]);
  expect(letters[0]).toContain('operator mine: context.begin(rows, index) comes before');
  expect(ledger).toMatchObject({ read: 5, emitted: 0, deadLettered: 5 });
});

describe('an operator that cannot be opened stops its task with its name', () => {
  it.each([
    ['throws', () => JSON.parse('') as OperatorInstance, 'it cannot be opened: SyntaxError'],
    [
      'asks for a store that it does not declare',
      (context: TaskContext) => context.value('other') as never,
      'declares neither stores nor timers',
    ],
    ['gives nothing', () => undefined as never, 'what open gives has no process'],
  ])('%s', async (_name, open, message) => {
    const run = testTopology(withOperator(specOf(open))).send('events', events);
    await expect(run.table('lines')).rejects.toThrow(message);
  });
});

describe('a shape that cannot be is a fault of the topology', () => {
  const kept = (store: object) => ({ stores: [{ name: 'kept', kind: 'value', ...store }] });

  it.each([
    [
      'two stores of one name',
      { stores: [kept({}), kept({})].flatMap((s) => s.stores) },
      'two stores are called kept',
    ],
    [
      'a name that the engine keeps for itself',
      kept({ name: '$time' }),
      'store "$time": use 1 to 100',
    ],
    [
      'a kind of store that there is not',
      kept({ kind: 'set' }),
      "its kind must be 'value', 'map' or 'list'",
    ],
    ['timers in the store', kept({ kind: 'timers' }), "its kind must be 'value', 'map' or 'list'"],
    ['a life of no time', kept({ timeToLiveMs: 0 }), 'its timeToLiveMs must be a whole number'],
    ['timers of another kind', { timers: 'daily' }, "its timers must be 'none' or 'event'"],
    ['no inputs', { inputs: [] }, 'it has no input'],
    ['outputs that are no list', { outputs: 1 }, 'its shape must list its outputs'],
  ])('%s', (_name, shape, message) => {
    const open = () => ({ process: () => undefined });
    expect(() => withOperator(specOf(open, shape))).toThrow(message);
  });

  it.each([
    ['nothing', undefined, 'apply needs an operator'],
    [
      'no functions',
      { kind: 'mine', stateVersion: 1 },
      'operator mine: it has no function describe',
    ],
    [
      'a version that is none',
      { ...specOf(() => ({ process: () => undefined })), stateVersion: 0 },
      'its stateVersion must be a whole number from 1',
    ],
  ])('%s', (_name, spec, message) => {
    expect(() => withOperator(spec as never)).toThrow(message);
  });
});
