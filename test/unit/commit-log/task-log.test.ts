import { commitLogFaultPoints } from '../../../shared/commit-log/fault-points';
import { generationName } from '../../../shared/commit-log/names';
import { encodeRecord } from '../../../shared/commit-log/record';
import { emptyLedger } from '../../../shared/model/commit';
import { StreamError } from '../../../shared/model/errors';
import type { AppendStore } from '../../../shared/model/ports';
import { commitNumber, sampleRecords } from '../../support/log-records';
import {
  delegating,
  dieAt,
  logPath,
  LogProcess,
  memoryStores,
  ProcessDied,
  type LogStores,
} from '../../support/log-world';

const unavailable = new StreamError('STREAM_STORE_UNAVAILABLE', 'as told');

/** A store whose next calls of a method go as told. */
function faulty(appends: AppendStore): {
  appends: AppendStore;
  next: (method: keyof AppendStore, fault: 'lost-request' | 'lost-response') => void;
  calls: Record<string, number>;
} {
  const faults: { method: string; fault: string }[] = [];
  const calls: Record<string, number> = {};
  const proxy = new Proxy(appends, {
    get(target, property: keyof AppendStore) {
      const method = target[property].bind(target) as (...given: unknown[]) => Promise<unknown>;
      return async (...given: unknown[]) => {
        calls[property] = (calls[property] ?? 0) + 1;
        const isFault = faults[0]?.method === property;
        const fault = isFault ? faults.shift()?.fault : undefined;
        if (fault === 'lost-request') throw unavailable;
        const result = await method(...given);
        if (fault === 'lost-response') throw unavailable;
        return result;
      };
    },
  });
  return { appends: proxy, next: (method, fault) => void faults.push({ method, fault }), calls };
}

function start(stores: LogStores, name: string, more: object = {}): Promise<LogProcess> {
  return LogProcess.start({ stores, name, ...more });
}

describe('a task log', () => {
  it('begins empty and is read back whole', async () => {
    const stores = memoryStores();
    const first = await start(stores, 'first');
    expect(first.history).toEqual([]);
    expect(first.log.blocks).toBe(1);
    expect(await first.commit('a')).toBe('appended');
    expect(await first.commit('b')).toBe('appended');
    const second = await start(stores, 'second');
    expect(second.history).toEqual(['a', 'b']);
    expect(second.log.position).toBe(first.log.position);
    await second.load();
    expect(second.history).toEqual(['a', 'b']);
  });

  it('refuses a zombie, which then knows all that it missed without another read', async () => {
    const stores = memoryStores();
    const { appends, calls } = faulty(stores.appends);
    const zombie = await start({ ...stores, appends }, 'zombie');
    const heir = await start(stores, 'heir');
    await heir.commit('a');
    await heir.commit('b');
    expect(await zombie.commit('z')).toBe('conflict');
    const reads = calls['readFrom'];
    expect(await zombie.commit('z')).toBe('conflict');
    await zombie.catchUp();
    expect(calls['readFrom']).toBe(reads);
    expect(zombie.history).toEqual(['a', 'b']);
    expect(await zombie.commit('z')).toBe('appended');
  });

  it('hands out attempts too', async () => {
    const stores = memoryStores();
    const { log } = await start(stores, 'first');
    const attempt = sampleRecords['attempt'];
    if (attempt?.kind !== 'attempt') throw new Error('an attempt was wanted');
    const other = await start(stores, 'second');
    expect(await log.append(attempt)).toBe('appended');
    expect(await other.log.catchUp()).toEqual([attempt]);
    expect(await other.log.catchUp()).toEqual([]);
  });

  it('is refused when a generation is damaged', async () => {
    const stores = memoryStores();
    const { log } = await start(stores, 'first');
    const name = generationName(logPath, 0);
    const block = Buffer.from('garbage');
    await stores.appends.append({ name, block, expectedPosition: log.position });
    await expect(start(stores, 'second')).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
    await expect(log.catchUp()).rejects.toMatchObject({
      code: 'STREAM_LOG_CORRUPT',
      details: { blob: name, position: log.position },
    });
  });

  it('notices that its blob was replaced by a shorter one', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'first');
    await process.commit('a');
    const name = generationName(logPath, 0);
    await stores.appends.delete(name);
    await stores.appends.create(name);
    await expect(process.commit('b')).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
  });

  it('says to open anew when its blob was deleted', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'first');
    await stores.appends.delete(generationName(logPath, 0));
    const error = { code: 'STREAM_COMMIT_CONTENDED' };
    await expect(process.commit('a')).rejects.toMatchObject(error);
    await expect(process.catchUp()).rejects.toMatchObject(error);
  });

  it('refuses a log in which a commit that had read nothing is missing', async () => {
    const stores = memoryStores();
    const { log } = await start(stores, 'first');
    const [first, third] = [commitNumber(1), commitNumber(3)];
    const { ledger } = first.summary;
    const afterTick = { ...third, ledger: emptyLedger, from: first.to, to: first.to };
    const summary = { ...third.summary, ledger, cursor: first.to };
    const blocks = [encodeRecord(first), encodeRecord({ ...afterTick, summary })];
    const block = Buffer.concat(blocks);
    const name = generationName(logPath, 0);
    await stores.appends.append({ name, block, expectedPosition: log.position });
    await expect(log.catchUp()).rejects.toThrow('commit 3 follows commit 1');
  });

  it('refuses a commit whose ledger does not add up to that of all commits', async () => {
    const stores = memoryStores();
    const { log } = await start(stores, 'first');
    const wrong = { ...commitNumber(1), ledger: emptyLedger };
    const name = generationName(logPath, 0);
    const block = encodeRecord(wrong);
    await stores.appends.append({ name, block, expectedPosition: log.position });
    await expect(log.catchUp()).rejects.toThrow('does not add up');
  });

  it.each([
    ['a header in the middle', { ...sampleRecords['header-empty'] }],
    ['anything after a seal', { ...sampleRecords['seal'] }],
  ])('refuses %s', async (_what, record) => {
    const stores = memoryStores();
    const { log } = await start(stores, 'first');
    const name = generationName(logPath, 0);
    const blocks = [encodeRecord(record as never), encodeRecord(commitNumber(1))];
    const block = Buffer.concat(blocks);
    await stores.appends.append({ name, block, expectedPosition: log.position });
    await expect(log.catchUp()).rejects.toMatchObject({ code: 'STREAM_LOG_CORRUPT' });
  });
});

describe('lost answers', () => {
  it('finds its own record after a lost response', async () => {
    const stores = memoryStores();
    const { appends, next } = faulty(stores.appends);
    const process = await start({ ...stores, appends }, 'first');
    next('append', 'lost-response');
    expect(await process.commit('a')).toBe('appended');
    expect(await process.commit('b')).toBe('appended');
    expect((await start(stores, 'second')).history).toEqual(['a', 'b']);
  });

  it('keeps what others appended right behind its own record', async () => {
    const stores = memoryStores();
    const other = await start(stores, 'other');
    const { appends, next } = faulty(stores.appends);
    const process = await start(
      {
        ...stores,
        appends: {
          ...delegating(appends),
          append: async (request) => {
            try {
              return await appends.append(request);
            } finally {
              if (other.history.length === 0) await other.commitOnce('other');
            }
          },
        },
      },
      'first',
    );
    next('append', 'lost-response');
    expect(await process.commit('a')).toBe('appended');
    expect(await process.commit('b')).toBe('conflict');
    await process.catchUp();
    expect(process.history).toEqual(['a', 'other']);
  });

  it('rejects when the record is not there, and appends it once on the next try', async () => {
    const stores = memoryStores();
    const { appends, next } = faulty(stores.appends);
    const process = await start({ ...stores, appends }, 'first');
    next('append', 'lost-request');
    await expect(process.commit('a')).rejects.toBe(unavailable);
    expect(await process.commit('a')).toBe('appended');
    expect((await start(stores, 'second')).history).toEqual(['a']);
  });

  it('re-reads before it appends again when the tail could not be read either', async () => {
    const stores = memoryStores();
    const { appends, next } = faulty(stores.appends);
    const process = await start({ ...stores, appends }, 'first');
    next('append', 'lost-response');
    next('readFrom', 'lost-request');
    await expect(process.commit('a')).rejects.toBe(unavailable);
    expect(await process.commit('a')).toBe('conflict');
    await process.catchUp();
    expect(process.history).toEqual(['a']);
  });

  it('takes a refusal without a reason for a conflict with nothing new', async () => {
    const stores = memoryStores();
    let refusals = 1;
    const appends: AppendStore = {
      ...delegating(stores.appends),
      append: async (request) => {
        if (request.expectedPosition === 0 || refusals-- <= 0)
          return stores.appends.append(request);
        return 'conflict';
      },
    };
    const process = await start({ ...stores, appends }, 'first');
    expect(await process.commit('a')).toBe('conflict');
    await process.catchUp();
    expect(await process.commit('a')).toBe('appended');
  });
});

describe('rolling', () => {
  it('begins a generation with the snapshot and goes on', async () => {
    const stores = memoryStores();
    const first = await start(stores, 'first');
    const behind = await start(stores, 'behind');
    await first.commitOnce('a');
    await first.commitOnce('b');
    expect(await first.roll()).toBe('appended');
    expect(first.log.generation).toBe(1);
    await first.commitOnce('c');
    const fresh = await start(stores, 'fresh');
    expect(fresh.history).toEqual(['a', 'b', 'c']);
    await behind.catchUp();
    expect(behind.history).toEqual(['a', 'b', 'c']);
    expect(behind.log.generation).toBe(1);
    await behind.commitOnce('d');
    await first.catchUp();
    expect(first.history).toEqual(['a', 'b', 'c', 'd']);
  });

  it('puts no commit where the header belongs when the store refuses the header without a reason', async () => {
    const stores = memoryStores();
    let refusals = 1;
    const appends: AppendStore = {
      ...delegating(stores.appends),
      append: async (request) => {
        if (request.name !== generationName(logPath, 1) || refusals === 0) {
          return stores.appends.append(request);
        }
        refusals -= 1;
        return 'conflict';
      },
    };
    const process = await start({ ...stores, appends }, 'refused');
    await process.commit('a');
    await expect(process.roll()).rejects.toMatchObject({ code: 'STREAM_STORE_UNAVAILABLE' });
    await process.catchUp();
    expect(await process.commit('b')).toBe('appended');
    expect((await start(stores, 'reader')).history).toEqual(['a', 'b']);
  });

  it('does not seal what somebody appended to', async () => {
    const stores = memoryStores();
    const first = await start(stores, 'first');
    const second = await start(stores, 'second');
    await second.commitOnce('a');
    expect(await first.roll()).toBe('conflict');
    await first.catchUp();
    expect(first.history).toEqual(['a']);
    expect(first.log.generation).toBe(0);
    expect(await first.roll()).toBe('appended');
  });

  it.each(commitLogFaultPoints.filter((point) => point.startsWith('roll.')))(
    'is finished by whoever comes when the process dies at %s',
    async (point) => {
      for (const heirs of ['fresh', 'behind', 'both', 'after another death'] as const) {
        const stores = memoryStores();
        const behind = await start(stores, 'behind');
        const dying = await start(stores, 'dying', { faultPoint: dieAt(point) });
        await dying.commitOnce('a');
        await expect(dying.roll()).rejects.toThrow(ProcessDied);
        if (heirs === 'after another death') {
          const second = start(stores, 'second', { faultPoint: dieAt(point) });
          await second.catch((error: unknown) => expect(error).toBeInstanceOf(ProcessDied));
        }
        const isFresh = heirs === 'fresh' || heirs === 'after another death';
        const processes = [
          ...(isFresh ? [] : [behind]),
          ...(heirs === 'behind' ? [] : [await start(stores, 'fresh')]),
        ];
        await Promise.all(processes.map((process) => process.commitOnce(`by ${process.name}`)));
        for (const process of processes) await process.catchUp();
        for (const process of processes) {
          expect(process.history).toEqual(processes[0]?.history);
          expect(process.log.generation).toBe(point === 'roll.before-seal' ? 0 : 1);
        }
        const late = await start(stores, 'late');
        expect(late.history).toHaveLength(1 + processes.length);
        expect(new Set(late.history).size).toBe(late.history.length);
      }
    },
  );

  it.each(['commit.before-append', 'commit.after-append'])(
    'keeps one history when the process dies at %s',
    async (point) => {
      const stores = memoryStores();
      const dying = await start(stores, 'dying', { faultPoint: dieAt(point) });
      await expect(dying.commit('a')).rejects.toThrow(ProcessDied);
      const heir = await start(stores, 'heir');
      expect(heir.history).toEqual(point === 'commit.after-append' ? ['a'] : []);
      await heir.commitOnce('a');
      expect((await start(stores, 'late')).history).toEqual(['a']);
    },
  );

  it('is decided by limits of blocks, bytes and age', async () => {
    const stores = memoryStores();
    const nowMs = (): number => stores.nowMs;
    const limits = { blocksMax: 3, ageMaxMs: 60_000 };
    const process = await start(stores, 'first', { nowMs, limits });
    expect(process.log.shouldRoll()).toBe(false);
    await process.commitOnce('a');
    expect(process.log.shouldRoll()).toBe(false);
    await process.commitOnce('b');
    expect(process.log.shouldRoll()).toBe(true);
    await process.roll();
    expect(process.log.shouldRoll()).toBe(false);
    stores.nowMs += 120_000;
    expect(process.log.shouldRoll()).toBe(false);
    await process.commitOnce('c');
    expect(process.log.shouldRoll()).toBe(true);
    const small = await start(memoryStores(), 'small', { limits: { bytesMax: 100 } });
    await small.commitOnce('a');
    expect(small.log.shouldRoll()).toBe(true);
  });

  it('refuses a snapshot that is not the one the header names', async () => {
    const stores = memoryStores();
    const first = await start(stores, 'first');
    await first.commitOnce('a');
    await first.roll();
    const snapshot = (await stores.objects.list('snapshots/')).at(-1);
    const name = snapshot?.name ?? '';
    const good = (await stores.objects.get(name)) ?? Buffer.alloc(0);
    for (const bad of [Buffer.from('["b"]'), Buffer.from('[]')]) {
      await stores.objects.put(name, bad);
      await expect(start(stores, 'second')).rejects.toMatchObject({
        code: 'STREAM_SNAPSHOT_CORRUPT',
      });
    }
    await stores.objects.delete(name);
    await expect(start(stores, 'second')).rejects.toMatchObject({
      code: 'STREAM_SNAPSHOT_CORRUPT',
    });
    await stores.objects.put(name, good);
    expect((await start(stores, 'second')).history).toEqual(['a']);
  });
});
