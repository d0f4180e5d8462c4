// Goal: rows that a former build left in the log leave as that build meant them, into the table that it meant,
// whatever the next build has for tables, and before it writes to the log: none is lost, none is read wrongly.
import { Type } from 'typebox';
import { Nullable, Timestamp, topology, type Topology } from '../../../shared/dataflow';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import { removeNodes } from '../../../shared/operations/decisions/decide';
import { rollback } from '../../../shared/operations/decisions/rollback';
import type { Runtime } from '../../../shared/task/runtime';
import { defaultStageLimits } from '../../../shared/task/services';
import { StageWorld, WorkerDied } from '../../support/stage-world';

const { log: defaultLog } = defaultStageLimits;

const event = Type.Object({ k: Type.String(), time: Timestamp() });
const row = Type.Object({ k: Type.String(), n: Type.Integer() });
// The new column stands between the others: read by place, values would be taken for those of other columns.
const wideRow = Type.Object({ k: Type.String(), more: Nullable(Type.String()), n: Type.Integer() });

const app = (...tables: ('all' | 'wide' | 'other')[]): Topology[] => [
  topology('shop', (t) => {
    const events = t.source('sales', { schema: event, eventTime: (e) => e.time });
    if (tables.includes('all'))
      events.map((e) => ({ k: e.k, n: 1 })).toLake('all', { schema: row });
    if (tables.includes('wide')) {
      const wide = events.map((e) => ({ k: e.k, more: 'yes', n: 1 }));
      wide.toLake('all', { schema: wideRow });
    }
    if (tables.includes('other')) {
      events.map((e) => ({ k: e.k, n: 2 })).toLake('other', { schema: row });
    }
  }),
];

const oldBuild: BuildIdentity = { id: 'old', builtAtMs: 1_000 };
const newBuild: BuildIdentity = { id: 'new', builtAtMs: 2_000 };

class Sales {
  readonly world: StageWorld;

  constructor(limits: object = {}) {
    this.world = new StageWorld({
      ...{ topologies: app('wide', 'other'), partitionCount: 1 },
      limits,
    });
  }

  async sale(runtime: Runtime, k: string): Promise<void> {
    const hub = this.world.hub('sales');
    const from = hub.messages(0).length;
    hub.append(0, Buffer.from(JSON.stringify({ k, time: 1_000 })));
    await this.world.deliver(runtime, { stage: 'sales', partition: 0, from });
  }

  async end(runtime: Runtime): Promise<void> {
    this.world.isDraining = true;
    await runtime.tendHeld(Infinity);
    await runtime.tendAbandoned({ deadlineMs: Infinity, abandonedAfterMs: -Infinity });
  }

  said(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.world.events.filter((one) => one.event === event).map(({ fields }) => fields);
  }
}

describe('rows that a former build left in the log', () => {
  it('leave into their table, though the next build does not have it', async () => {
    const sales = new Sales();
    const older = sales.world.workerOf(oldBuild, app('all', 'other'));
    for (const k of ['a', 'b', 'c']) await sales.sale(older, k);
    expect(await sales.world.rows('other')).toEqual([]);
    const newer = sales.world.workerOf(newBuild, app('all'));
    await sales.sale(newer, 'd');
    expect(await sales.world.rows('other')).toEqual([...['["a",2]', '["b",2]', '["c",2]']]);
    await sales.end(newer);
    expect(await sales.world.rows('other')).toHaveLength(3);
    expect(sales.said('task.rows-without-table')).toEqual([]);
  });

  it.each([
    'stage.before-flush',
    'stage.after-flush',
    'stage.before-plan',
    'stage.after-plan',
    'stage.after-commit',
  ])('leave once, though the next build is killed at %s', async (point) => {
    const sales = new Sales();
    const older = sales.world.workerOf(oldBuild, app('all', 'other'));
    for (const k of ['a', 'b', 'c']) await sales.sale(older, k);
    const dying = sales.world.workerOf(newBuild, app('all'), (at) => at === point);
    await expect(sales.sale(dying, 'd')).rejects.toThrow(WorkerDied);
    const newer = sales.world.workerOf(newBuild, app('all'));
    await sales.sale(newer, 'e');
    await sales.end(newer);
    expect(await sales.world.rows('other')).toHaveLength(3);
    expect(await sales.world.rows('all')).toHaveLength(5);
    expect(sales.said('task.rows-without-table')).toEqual([]);
  });

  it('are read with their own columns, though a snapshot of the next build has come after them', async () => {
    const sales = new Sales({ log: { ...defaultLog, blocksMax: 4 } });
    const older = sales.world.workerOf(oldBuild, app('all'));
    await sales.sale(older, 'a');
    const newer = sales.world.workerOf(newBuild, app('wide'));
    // Many commits: the log rolls, and what is loaded next begins with a snapshot.
    for (let count = 0; count < 12; count += 1) await sales.sale(newer, 'b');
    const again = sales.world.workerOf(newBuild, app('wide'));
    await sales.end(again);
    const rows = await sales.world.rows('all');
    expect(rows).toHaveLength(13);
    expect(rows.filter((text) => text !== '["b","yes",1]')).toEqual(['["a",null,1]']);
  });

  it('keep what a column holds that the build has not to which they are rolled back', async () => {
    const sales = new Sales();
    const older = sales.world.workerOf(oldBuild, app('all'));
    await sales.sale(older, 'a');
    const newer = sales.world.workerOf(newBuild, app('wide'));
    await sales.sale(newer, 'b');
    await rollback(sales.world.decisionWorld(newBuild, app('wide')), {
      ...{ to: 'old', isNewVersion: false },
    });
    const back = sales.world.workerOf(oldBuild, app('all'));
    await sales.sale(back, 'c');
    await sales.end(back);
    expect(await sales.world.rows('all')).toEqual([
      ...['["a",null,1]', '["b","yes",1]', '["c",null,1]'],
    ]);
  });

  it('do not keep the task back where their table is broken and somebody has decided to do without', async () => {
    const sales = new Sales();
    const older = sales.world.workerOf(oldBuild, app('all', 'other'));
    for (const k of ['a', 'b']) await sales.sale(older, k);
    await sales.world.lake.put(
      'tables/other/_delta_log/00000000000000000000.json',
      Buffer.from('{'),
    );
    const newer = sales.world.workerOf(newBuild, app('all'));
    await expect(sales.sale(newer, 'c')).rejects.toThrow('other');
    await removeNodes(sales.world.decisionWorld(newBuild, app('all')), ['other']);
    const again = sales.world.workerOf(newBuild, app('all'));
    await sales.sale(again, 'd');
    await sales.end(again);
    expect(await sales.world.rows('all')).toHaveLength(4);
    expect(sales.said('task.rows-given-up')).toEqual([
      expect.objectContaining({ table: 'other', rows: 2 }),
    ]);
  });
});
