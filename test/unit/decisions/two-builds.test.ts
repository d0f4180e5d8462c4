// Goal: two builds of one topology that take turns on a task give what one build alone would have given;
// an old one commits nothing over what it does not know, however long it slept, wherever the new one died.
import { Type } from 'typebox';
import {
  count,
  minutes,
  Nullable,
  Timestamp,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import { generationName } from '../../../shared/commit-log/names';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import type { Runtime } from '../../../shared/task/runtime';
import { IdleClaims } from '../../../shared/task/claimant';
import { fencedBy } from '../../../shared/model/superseded';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const event = Type.Object({ k: Type.String(), time: Timestamp() });
const row = Type.Object({ k: Type.String(), n: Type.Integer() });
const wideRow = Type.Object({ k: Type.String(), more: Nullable(Type.String()), n: Type.Integer() });

interface Shape {
  readonly second?: boolean;
  readonly sink?: boolean;
  readonly column?: boolean;
  readonly plus?: number;
}

const app = ({ column = false, plus = 0, second = false, sink = false }: Shape): Topology[] => [
  topology('turns', (t) => {
    const events = t.source('in', { schema: event, eventTime: (e) => e.time });
    const keyed = events.keyBy((e) => e.k, { name: 'kk', isPartitionedBySource: true });
    const window = (name: string): void => {
      const counts = keyed.window(tumbling(minutes(1)), { name }).aggregate({ n: count() });
      if (column && name === 'aa') {
        const values = counts.map((w) => ({ k: String(w.key), n: w.n + plus, more: null }));
        values.toLake(name, { schema: wideRow });
      } else {
        counts.map((w) => ({ k: String(w.key), n: w.n + plus })).toLake(name, { schema: row });
      }
    };
    window('aa');
    if (second) window('bb');
    if (sink) {
      events.map((e) => ({ k: e.k, n: 1 })).toLake('all', { schema: row });
    }
  }),
];

const oldBuild: BuildIdentity = { id: 'old', builtAtMs: 1_000 };
const newBuild: BuildIdentity = { id: 'new', builtAtMs: 2_000 };
const functionName = 'turns-in';

class Turns {
  readonly world: StageWorld;
  #sent = 0;

  constructor(before: Shape, after: Shape) {
    this.world = new StageWorld({ topologies: app({ ...before, ...after }), partitionCount: 1 });
  }

  /** Events of one batch, and what a worker makes of it; whoever is refused leaves it to the next. */
  async batch(runtime: Runtime, events: number, time: number): Promise<number> {
    const hub = this.world.hub('in');
    for (let index = 0; index < events; index += 1) {
      hub.append(0, Buffer.from(JSON.stringify({ k: 'x', time })));
    }
    const from = this.#sent;
    this.#sent += events;
    const messages = hub.messages(0).filter(({ sequenceNumber }) => sequenceNumber >= from);
    const report = await runtime.processBatch({
      ...{ functionName, partition: '0', messages, deadlineMs: Infinity },
    });
    return report.committedEvents;
  }

  async end(runtime: Runtime): Promise<void> {
    this.world.isDraining = true;
    await runtime.tendHeld(Infinity);
    await runtime.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
    const [ledger] = await runtime.ledgers(functionName);
    expect(ledger).toMatchObject({ read: this.#sent, emitted: this.#sent, late: 0, gap: 0 });
  }
}

describe('two builds that take turns on a task', () => {
  it('aa 30, bb 20: the old build commits no more once the new one has begun', async () => {
    const turns = new Turns({}, { second: true });
    const older = turns.world.workerOf(oldBuild, app({}));
    const newer = turns.world.workerOf(newBuild, app({ second: true }));
    expect(await turns.batch(newer, 10, 1_000)).toBe(10);
    expect(await turns.batch(older, 10, 2_000)).toBe(0);
    // What the old build left is read from the hub before the batch.
    expect(await turns.batch(newer, 10, 3_000)).toBe(20);
    await turns.end(newer);
    expect(await turns.world.rows('aa')).toEqual(['["x",30]']);
    expect(await turns.world.rows('bb')).toEqual(['["x",30]']);
  });

  it.each<[string, Shape, Record<string, string[]>]>([
    ['an operator was added', { second: true }, { aa: ['["x",30]'], bb: ['["x",20]'] }],
    [
      'a sink was added',
      { sink: true },
      { aa: ['["x",30]'], all: Array<string>(20).fill('["x",1]') },
    ],
    ['a nullable column was added', { column: true }, { aa: ['["x",null,30]'] }],
    ['stateless code was changed', { plus: 1 }, { aa: ['["x",31]'] }],
  ])('give one table where %s while the old one was at work', async (_what, after, tables) => {
    const turns = new Turns({}, after);
    const older = turns.world.workerOf(oldBuild, app({}));
    expect(await turns.batch(older, 10, 1_000)).toBe(10);
    const newer = turns.world.workerOf(newBuild, app(after));
    expect(await turns.batch(newer, 10, 2_000)).toBe(10);
    // With one plan both may commit; else the old one returns its batch.
    const isSame = after.plus !== undefined;
    expect((await turns.batch(older, 5, 3_000)) > 0).toBe(isSame);
    await turns.batch(newer, 5, 4_000);
    await turns.end(newer);
    for (const [table, rows] of Object.entries(tables)) {
      expect(await turns.world.rows(table)).toEqual(rows);
    }
  });

  it('rows that the old build left in the log have the values of their own columns', async () => {
    const turns = new Turns({}, { column: true });
    const older = turns.world.workerOf(oldBuild, app({}));
    await turns.batch(older, 10, 1_000);
    // The first window closes: its row waits in the log, which has no column `more`.
    await turns.batch(older, 10, 61_000);
    const newer = turns.world.workerOf(newBuild, app({ column: true }));
    await turns.batch(newer, 10, 62_000);
    await turns.end(newer);
    expect(await turns.world.rows('aa')).toEqual(['["x",null,10]', '["x",null,20]']);
  });

  it.each(['stage.before-plan', 'stage.after-plan', 'stage.after-process', 'stage.after-commit'])(
    'lose and double nothing where the new build is killed at %s',
    async (point) => {
      const turns = new Turns({}, { second: true });
      const older = turns.world.workerOf(oldBuild, app({}));
      await turns.batch(older, 10, 1_000);
      const dying = turns.world.workerOf(newBuild, app({ second: true }), (at) => at === point);
      await expect(turns.batch(dying, 10, 2_000)).rejects.toThrow(WorkerDied);
      // Until the log knows of the new plan the old build may go on; from then on it may not.
      await turns.batch(older, 10, 3_000);
      const newer = turns.world.workerOf(newBuild, app({ second: true }));
      await turns.batch(newer, 1, 4_000);
      await turns.end(newer);
      expect(await turns.world.rows('aa')).toEqual(['["x",31]']);
      const seenByNew = point === 'stage.before-plan' ? 1 : 21;
      expect(await turns.world.rows('bb')).toEqual([JSON.stringify(['x', seenByNew])]);
    },
  );

  it('a build that begins without input says its own plan, and the place behind its plan record', async () => {
    const turns = new Turns({}, { second: true });
    await turns.batch(turns.world.workerOf(oldBuild, app({})), 10, 1_000);
    await turns.end(turns.world.workerOf(newBuild, app({ second: true })));
    const [path] = await listLogs(turns.world.appends, 'turns');
    if (path === undefined) throw new Error('no log');
    const { records } = await readLog(turns.world.appends, path, null);
    expect(records.map(({ kind }) => kind).slice(-3)).toEqual(['plan', 'commit', 'commit']);
    const said = records.flatMap((one) => (one.kind === 'commit' ? [one.summary] : []));
    expect(said.map(({ blocks, planNumber }) => [blocks, planNumber])).toEqual([
      [4, 1],
      [6, 2],
      [7, 2],
    ]);
  });

  it('a frozen old worker that wakes after the new build has committed leaves no trace', async () => {
    const turns = new Turns({}, { second: true });
    let wake = (): void => undefined;
    const frozen = new Promise<void>((resolve) => (wake = resolve));
    let isFrozen = false;
    const sleeper = turns.world.workerOf(oldBuild, app({}));
    await turns.batch(sleeper, 10, 1_000);
    const append = turns.world.appends.append.bind(turns.world.appends);
    turns.world.appends.append = async (request) => {
      if (!isFrozen) {
        isFrozen = true;
        await frozen;
      }
      return append(request);
    };
    const late = turns.batch(sleeper, 10, 2_000);
    const newer = turns.world.workerOf(newBuild, app({ second: true }));
    expect(await turns.batch(newer, 10, 3_000)).toBe(20);
    wake();
    expect(await late).toBe(0);
    await turns.end(newer);
    expect(await turns.world.rows('aa')).toEqual(['["x",30]']);
    expect(await turns.world.rows('bb')).toEqual(['["x",20]']);
  });

  it('a rolling deploy marks no task as halted', async () => {
    const turns = new Turns({}, { second: true });
    const older = turns.world.workerOf(oldBuild, app({}));
    await turns.batch(older, 10, 1_000);
    await turns.batch(turns.world.workerOf(newBuild, app({ second: true })), 10, 2_000);
    await turns.batch(older, 10, 3_000);
    await older.tendHeld(Infinity);
    expect(
      await older.tendTask({ functionName, partition: '0', deadlineMs: Infinity }),
    ).toMatchObject({ isElsewhere: true });
    expect(await turns.world.objects.list('control/halted/')).toEqual([]);
  });
  it('a task keeps what it has, though plans are compared when a worker died at the birth of its new life', async () => {
    const turns = new Turns({}, { second: true });
    const { world } = turns;
    await turns.batch(world.workerOf(oldBuild, app({ second: true })), 10, 1_000);
    world.hub('in').recreate(2_000);
    const [path] = await listLogs(world.appends, 'turns');
    if (path === undefined) throw new Error('no log');
    await world.appends.create(generationName({ ...path, incarnation: '000000000002000' }, 0));
    // A window is gone: every log is asked whether something is open in it.
    const newer = world.workerOf(newBuild, app({}));
    const tend = newer.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
    await expect(tend).rejects.toThrow('1 keys are open');
    const older = world.workerOf(oldBuild, app({ second: true }));
    const [ledger] = await older.ledgers(functionName);
    expect(ledger).toMatchObject({ read: 10, emitted: 10 });
  });

  it('an old build that looks for idle partitions when the new one has begun throws nothing, and lets go', async () => {
    const [joined] = [
      topology('turns', (t) => {
        const events = t.source('in', { schema: event, eventTime: (e) => e.time });
        events
          .keyBy((e) => e.k, { name: 'kk' })
          .window(tumbling(minutes(1)), { name: 'aa' })
          .aggregate({ n: count() })
          .map((w) => ({ k: String(w.key), n: w.n }))
          .toLake('aa', { schema: row });
      }),
    ];
    const world = new StageWorld({ topologies: [joined], partitionCount: 2 });
    const fenced: string[] = [];
    const claims = new IdleClaims(world.served('older'), (name, { details }) => {
      fenced.push(`${name} ${String(details.found?.number)}`);
    });
    const address = {
      topology: 'turns',
      version: 'v1',
      stage: 'in',
      incarnation: '000000000001000',
    };
    const tasks = ['0', '1'].map((partition) => ({
      ...{ address: { ...address, partition }, epoch: 1 },
      restFacts: async () => {
        if (partition === '0') throw fencedBy('a log', { number: 2, hash: 'h' }, {});
        return null;
      },
    }));
    await claims.claim(tasks, { isPeriodic: false });
    expect(fenced).toEqual(['turns 2']);
  });
});
