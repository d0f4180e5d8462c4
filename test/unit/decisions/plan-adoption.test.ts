// Goal: of the builds that run at once exactly the right one may commit, whoever starts when and whatever
// the store does; nothing is read again per batch.
import { MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import { StreamError } from '../../../shared/model/errors';
import { planHash, type PlanDocument } from '../../../shared/model/plan-document';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import { readBuildRecords } from '../../../shared/operations/decisions/build-records';
import type { KnownToLogs } from '../../../shared/operations/decisions/known-to-logs';
import { PlanAdoption } from '../../../shared/operations/decisions/plan-adoption';
import type { DeliveryServices } from '../../../shared/task/delivery';
import { PlanStore, type PlanEntry } from '../../../shared/operations/decisions/plan-store';

const topology = 'trades';

function document(windows: Readonly<Record<string, number>>): PlanDocument {
  const nodes = Object.entries(windows).map(([name, sizeMs]) => ({
    ...{ id: `window ${name}`, kind: 'window', name, stages: ['by-symbol'], inputs: [] },
    ...{ settings: {}, fingerprint: { kind: 'window', sizeMs } },
  }));
  return { format: 1, topology, nodes, stages: [] };
}

const small = document({ bars: 60_000 });
const large = document({ bars: 60_000, more: 60_000 });
const changed = document({ bars: 3_600_000 });

const build = (id: string, builtAtMs: number): BuildIdentity => ({ id, builtAtMs });
const first = build('a', 1_000);
const second = build('b', 2_000);

class WatchedStore extends MemoryObjectStore {
  planReads = 0;
  losesResponses = false;

  override async list(prefix: string): ReturnType<MemoryObjectStore['list']> {
    if (prefix.includes('/plan/')) this.planReads += 1;
    return super.list(prefix);
  }

  override async putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const outcome = await super.putIfAbsent(name, bytes);
    if (this.losesResponses) throw new StreamError('STREAM_STORE_UNAVAILABLE', 'no answer');
    return outcome;
  }
}

class World {
  nowMs = 1_000_000;
  objects = new MemoryObjectStore();
  open = 7;
  logs: KnownToLogs = { version: null, hasLogs: false, plan: null };
  #ids = 0;

  adoption(own: BuildIdentity, plan: PlanDocument, more: { mayMove?: boolean } = {}): PlanAdoption {
    return new PlanAdoption({
      // Of the world an adoption needs the store, a clock and names.
      services: {
        objects: this.objects,
        clock: { nowMs: () => this.nowMs },
        randomness: { uniqueId: () => `id-${(this.#ids += 1)}` },
        telemetry: { emit: () => undefined },
        writer: own.id,
      } as unknown as DeliveryServices,
      ...{ build: own, mayMove: more.mayMove ?? true },
      plans: [{ topology, hash: planHash(plan), document: plan, stages: [] }],
      countOpen: async () => this.open,
      logs: {
        newestVersion: async () => this.logs.version,
        known: async () => this.logs,
      },
    });
  }

  /** `<version> <number>`, or the code of the refusal. */
  async asks(own: BuildIdentity, plan: PlanDocument, mayMove = true): Promise<string> {
    return answerOf(this.adoption(own, plan, { mayMove }));
  }

  newest(): Promise<PlanEntry | null> {
    return new PlanStore(this.objects).newest(topology);
  }
}

async function answerOf(adoption: PlanAdoption): Promise<string> {
  try {
    const { number, version } = await adoption.adopted(topology);
    return `${version} ${number}`;
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
}

describe('the plan of a topology', () => {
  it('is the first build’s, as it is for builds with the same plan, and moved by a newer one', async () => {
    const world = new World();
    expect(await world.asks(first, small)).toBe('v1 1');
    expect(await world.asks(second, small)).toBe('v1 1');
    expect(await world.asks(second, large)).toBe('v1 2');
    expect((await world.newest())?.differences).toEqual([
      'window more is new: it begins with what comes from now on',
    ]);
  });

  it('is never moved back by an older build, which leaves word that it is superseded', async () => {
    const world = new World();
    await world.asks(first, small);
    await world.asks(second, large);
    expect(await world.asks(first, small)).toBe('STREAM_BUILD_SUPERSEDED');
    expect((await world.newest())?.number).toBe(2);
    const records = await readBuildRecords(world.objects, topology);
    expect(records.map(({ build: { id }, standing }) => [id, standing])).toEqual([
      ['b', 'current'],
      ['a', 'superseded'],
    ]);
  });

  it('is moved by one of many that start at once, and all others follow', async () => {
    const world = new World();
    await world.asks(first, small);
    const answers = await Promise.all(Array.from({ length: 8 }, () => world.asks(second, large)));
    expect(new Set(answers)).toEqual(new Set(['v1 2']));
  });

  it('waits for a decision where something is open, and names the difference and the commands', async () => {
    const world = new World();
    await world.asks(first, small);
    const refused = world.adoption(second, changed).adopted(topology);
    await expect(refused).rejects.toMatchObject({
      code: 'STREAM_DECISION_NEEDED',
      message: expect.stringMatching(
        /window bars: sizeMs is 3600000, was 60000.*7 keys are open[^]*millrace decide trades new-version[^]*millrace drain trades[^]*millrace begin trades/,
      ) as string,
    });
    expect((await world.newest())?.number).toBe(1);
    expect(await world.asks(first, small)).toBe('v1 1');
    world.open = 0;
    expect(await world.asks(second, changed)).toBe('v1 2');
  });

  it('is asked for once, again after a log has shown a newer one, and after a refusal only now and then', async () => {
    const world = new World();
    const counting = new WatchedStore();
    world.objects = counting;
    const old = world.adoption(first, small);
    for (let batch = 0; batch < 10; batch += 1) await old.adopted(topology);
    expect(counting.planReads).toBe(1);
    await world.asks(second, large);
    old.fenced(topology, { number: 2, hash: planHash(large) });
    for (let batch = 0; batch < 10; batch += 1) {
      expect(await answerOf(old)).toBe('STREAM_BUILD_SUPERSEDED');
    }
    expect(counting.planReads).toBe(3);
    world.nowMs += 60_000;
    expect(await answerOf(old)).toBe('STREAM_BUILD_SUPERSEDED');
    expect(counting.planReads).toBe(4);
  });

  it('is followed and never brought by a command', async () => {
    const world = new World();
    expect(await world.asks(second, large, false)).toBe('v1 0');
    expect(await world.newest()).toBeNull();
    await world.asks(first, small);
    expect(await world.asks(second, small, false)).toBe('v1 1');
    expect(await world.asks(second, large, false)).toBe('STREAM_BUILD_SUPERSEDED');
  });

  it('is what the logs say where control was deleted, for the build that wrote them', async () => {
    const world = new World();
    const hash = planHash(large);
    world.logs = { version: 'v3', hasLogs: true, plan: { number: 7, hash, buildId: 'b' } };
    expect(await world.asks(first, small)).toBe('STREAM_DECISION_NEEDED');
    expect(await world.asks(second, large, false)).toBe('v3 7');
    expect(await world.newest()).toBeNull();
    expect(await world.asks(second, large)).toBe('v3 8');
    expect(await world.asks(first, small)).toBe('STREAM_BUILD_SUPERSEDED');
  });

  it('is what the logs say where control is an older copy', async () => {
    const world = new World();
    await world.asks(first, small);
    const hash = planHash(large);
    world.logs = { version: 'v2', hasLogs: true, plan: { number: 5, hash, buildId: 'b' } };
    expect(await world.asks(first, small)).toBe('STREAM_DECISION_NEEDED');
    expect(await world.asks(second, large)).toBe('v2 6');
  });

  it('is what the logs say where only their plan numbers are ahead', async () => {
    const world = new World();
    await world.asks(first, small);
    const found = { number: 5, hash: planHash(large) };
    world.logs = { version: 'v1', hasLogs: true, plan: { ...found, buildId: 'b' } };
    const old = world.adoption(first, small);
    old.fenced(topology, found);
    expect(await answerOf(old)).toBe('STREAM_DECISION_NEEDED');
    const own = world.adoption(second, large);
    own.fenced(topology, found);
    expect(await answerOf(own)).toBe('v1 6');
  });

  it('waits for a decision where logs were ended for a version that control does not have', async () => {
    const world = new World();
    const old = world.adoption(first, small);
    expect(await answerOf(old)).toBe('v1 1');
    world.logs = { version: 'v2', hasLogs: false, plan: null };
    old.fenced(topology, null);
    expect(await answerOf(old)).toBe('STREAM_DECISION_NEEDED');
    world.objects = new MemoryObjectStore();
    world.logs = { version: 'v1', hasLogs: true, plan: null };
    expect(await world.asks(first, small)).toBe('v1 1');
  });

  it('refuses a blob that is no plan, and says which', async () => {
    const world = new World();
    await world.objects.put('control/trades/plan/00000001', Buffer.from('{"format":1}'));
    expect(await world.asks(first, small)).toBe('STREAM_CONTROL_UNREADABLE');
    await world.objects.put('control/trades/plan/00000001', Buffer.from('{'));
    expect(await world.asks(first, small)).toBe('STREAM_CONTROL_UNREADABLE');
  });

  it('is put once where the response of the store was lost', async () => {
    const world = new World();
    const losing = new WatchedStore();
    losing.losesResponses = true;
    world.objects = losing;
    expect(await world.asks(first, small)).toBe('v1 1');
    expect((await new PlanStore(world.objects).history(topology)).length).toBe(1);
  });
});
