import { deleteFormerLogs } from '../../../shared/commit-log/former-layout';
import { listIncarnations } from '../../../shared/commit-log/incarnations';
import { listLogs, readLog } from '../../../shared/commit-log/log-reader';
import { generationName, snapshotPrefix } from '../../../shared/commit-log/names';
import { emptySummary } from '../../../shared/model/commit';
import type { AppendStore } from '../../../shared/model/ports';
import { commitNumber } from '../../support/log-records';
import {
  delegating,
  dieAt,
  logPath,
  LogProcess,
  memoryStores,
  ProcessDied,
  type LogStores,
} from '../../support/log-world';

function start(stores: LogStores, name: string, more: object = {}): Promise<LogProcess> {
  return LogProcess.start({ stores, name, ...more });
}

describe('retiring', () => {
  it('deletes former generations and their snapshots, and nothing else', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'first');
    for (const id of ['a', 'b', 'c']) {
      await process.commitOnce(id);
      await process.roll();
    }
    expect(await process.retire()).toEqual([0, 1, 2]);
    expect(await process.retire()).toEqual([]);
    expect(await stores.appends.list('')).toEqual([generationName(logPath, 3)]);
    const snapshots = await stores.objects.list('');
    expect(snapshots.map(({ name }) => name)).toEqual([
      expect.stringContaining(`${snapshotPrefix(logPath, 3)}0000-`),
      expect.stringContaining(`${snapshotPrefix(logPath, 3)}0001-`),
    ]);
    expect((await start(stores, 'second')).history).toEqual(['a', 'b', 'c']);
  });

  it('is named by no header that has a newer one', async () => {
    const stores = memoryStores();
    const slow = await start(stores, 'slow');
    await slow.commitOnce('a');
    const old = await slow.putSnapshot();
    const fast = await start(stores, 'fast');
    await fast.commitOnce('b');
    await fast.roll();
    await slow.catchUp();
    await slow.commitOnce('c');
    expect(await slow.log.roll(slow.summary, old)).toBe('appended');
    expect(slow.log.base?.commit).toBe(2);
    expect((await start(stores, 'late')).history).toEqual(['a', 'b', 'c']);
  });

  it('keeps every generation and snapshot that the state still builds on', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'first');
    await process.commitOnce('a');
    await process.roll();
    await process.commitOnce('b');
    const lagging = await process.putSnapshot();
    await process.commitOnce('c');
    expect(await process.log.roll(process.summary, lagging)).toBe('appended');
    await process.commitOnce('d');
    // Nobody has made a newer snapshot: this one rests on the same base.
    await process.roll(false);
    await process.commitOnce('e');
    expect(process.log.base).toEqual(lagging);
    expect(await process.retire()).toEqual([0]);
    expect(await stores.objects.list('')).toHaveLength(2);
    expect((await start(stores, 'second')).history).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('is no loss of a snapshot to a process that was about to read it', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'retiring');
    await process.commitOnce('a');
    await process.roll();
    const get = stores.objects.get.bind(stores.objects);
    stores.objects.get = async (name) => {
      stores.objects.get = get;
      await process.commitOnce('b');
      await process.roll();
      await process.retire();
      return get(name);
    };
    await expect(start(stores, 'slow')).rejects.toMatchObject({ code: 'STREAM_COMMIT_CONTENDED' });
    expect((await start(stores, 'slow')).history).toEqual(['a', 'b']);
  });

  it('is no damage to a process that holds what was retired, where an empty blob has its place', async () => {
    const stores = memoryStores();
    const process = await start(stores, 'retiring');
    const late = await start(stores, 'late');
    await process.commitOnce('a');
    await late.catchUp();
    await process.roll();
    await process.retire();
    // A request to create it that was on its way for long.
    await stores.appends.create(generationName(logPath, 0));
    await expect(late.commit('b')).rejects.toMatchObject({ code: 'STREAM_COMMIT_CONTENDED' });
  });

  it('leaves no log without its snapshot when it dies anywhere while it retires', async () => {
    for (const deletes of [0, 1, 2, 3]) {
      const stores = memoryStores();
      const process = await start(stores, 'retiring');
      for (const id of ['a', 'b']) {
        await process.commitOnce(id);
        await process.roll();
      }
      let left = deletes;
      const dyingOnDelete = (name: string): void => {
        left -= 1;
        if (left < 0) throw new ProcessDied(name);
      };
      const appends = {
        ...delegating(stores.appends),
        delete: async (name: string) => {
          dyingOnDelete(name);
          await stores.appends.delete(name);
        },
      };
      const remove = stores.objects.delete.bind(stores.objects);
      stores.objects.delete = async (name) => {
        dyingOnDelete(name);
        await remove(name);
      };
      const dying = await start({ ...stores, appends }, 'dying');
      await expect(dying.retire()).rejects.toThrow(ProcessDied);
      stores.objects.delete = remove;
      expect((await start(stores, 'heir')).history).toEqual(['a', 'b']);

      // What a death left over goes with whoever retires next.
      await process.retire();
      expect(await stores.objects.list('snapshots/')).toHaveLength(2);
      expect(await stores.appends.list('')).toEqual([generationName(logPath, 2)]);
    }
  });

  it('leaves a sleeper no way to bring a retired generation back', async () => {
    const stores = memoryStores();
    const sleeper = await start(stores, 'sleeper', { faultPoint: dieAt('roll.after-seal') });
    await expect(sleeper.roll()).rejects.toThrow(ProcessDied);
    const other = await start(stores, 'other');
    await other.commitOnce('a');
    await other.roll();
    await other.commitOnce('b');
    await other.retire();
    // It saw generation 0 sealed and 1 missing; now 1 is missing because it was retired.
    const error = { code: 'STREAM_COMMIT_CONTENDED' };
    await expect(sleeper.log.finishRoll(sleeper.summary, null)).rejects.toMatchObject(error);
    expect(await stores.appends.list('')).toEqual([generationName(logPath, 2)]);
    expect((await start(stores, 'late')).history).toEqual(['a', 'b']);
  });
});

describe('a ghost of a retired generation', () => {
  it('is left and deleted by whoever wrote its header too late', async () => {
    const stores = memoryStores();
    const { appends } = stores;
    const ghost = generationName(logPath, 1);
    let isOvertaken = false;
    const overtaken: AppendStore = {
      ...delegating(appends),
      append: async (request) => {
        if (request.name === ghost && !isOvertaken) {
          isOvertaken = true;
          const other = await start(stores, 'other');
          await other.commitOnce('b');
          await other.roll();
          await other.retire();
          await appends.create(ghost);
        }
        return appends.append(request);
      },
    };
    const late = await start({ ...stores, appends: overtaken }, 'late');
    await late.commitOnce('a');
    await expect(late.roll()).rejects.toMatchObject({ code: 'STREAM_COMMIT_CONTENDED' });
    expect(await appends.list('')).toEqual([generationName(logPath, 2)]);
    expect((await start(stores, 'heir')).history).toEqual(['a', 'b']);
  });

  it('is not taken for a live generation that was rolled on at that moment', async () => {
    const stores = memoryStores();
    const { appends } = stores;
    let isOvertaken = false;
    const overtaken: AppendStore = {
      ...delegating(appends),
      create: async (name) => {
        const created = await appends.create(name);
        if (name === generationName(logPath, 1) && !isOvertaken) {
          isOvertaken = true;
          const other = await start(stores, 'other');
          await other.commitOnce('b');
          await other.roll();
          await other.commitOnce('c');
        }
        return created;
      },
    };
    const slow = await start({ ...stores, appends: overtaken }, 'slow');
    await slow.commitOnce('a');
    expect(await slow.roll()).toBe('appended');
    await slow.catchUp();
    expect(slow.history).toEqual(['a', 'b', 'c']);
    expect(await appends.list('')).toHaveLength(3);
  });
});

describe('a log of the layout before topologies had versions', () => {
  const former = 'commits/flights/shape/000001764000000/7/00000000';

  it('is refused, and none is begun beside it', async () => {
    const stores = memoryStores();
    await stores.appends.create(former);
    await expect(start(stores, 'newer')).rejects.toMatchObject({
      code: 'STREAM_LOG_VERSION_UNKNOWN',
      message: expect.stringMatching(/format version 1.*millrace reset flights/) as string,
    });
    expect(await stores.appends.list('')).toEqual([former]);
  });

  it('is deleted by a reset, and is none where a stage is called as a version', async () => {
    const stores = memoryStores();
    await start(stores, 'of a stage v1', { path: { ...logPath, stage: 'v1' } });
    await start(stores, 'of version v1', { path: { ...logPath, stage: 'other' } });
    await stores.appends.create(former);
    const stage = { topology: 'flights', stage: 'shape' };
    expect(await deleteFormerLogs(stores.appends, stage)).toBe(1);
    expect(await deleteFormerLogs(stores.appends, { ...stage, stage: 'v1' })).toBe(0);
    expect((await start(stores, 'newer')).history).toEqual([]);
  });
});

describe('incarnations', () => {
  const next = { ...logPath, incarnation: '000001764999999' };

  it('hand state on: the old log ends, the new one begins with its snapshot', async () => {
    const stores = memoryStores();
    const old = await start(stores, 'old');
    await old.commitOnce('a');
    const zombie = await start(stores, 'zombie');
    await old.log.seal();
    await old.log.seal();
    expect(old.log.isEnded).toBe(true);
    expect(old.log.needsRoll).toBe(false);
    const heir = await start(stores, 'heir', { path: next, inherited: old.bequest() });
    expect(heir.history).toEqual(['a']);
    await heir.commitOnce('b');
    expect((await start(stores, 'late', { path: next })).history).toEqual(['a', 'b']);

    expect(await zombie.commit('z')).toBe('conflict');
    await zombie.catchUp();
    const error = { code: 'STREAM_COMMIT_CONTENDED' };
    await expect(zombie.commit('z')).rejects.toMatchObject(error);
    await expect(zombie.roll()).rejects.toMatchObject(error);
    const again = await start(stores, 'again');
    expect(again.history).toEqual(['a']);
    await again.log.seal();
    expect(await stores.appends.list('commits/')).toHaveLength(2);
  });

  it('are not ended over somebody else’s commit', async () => {
    const stores = memoryStores();
    const first = await start(stores, 'first');
    const second = await start(stores, 'second');
    await second.commitOnce('a');
    await expect(first.log.seal()).rejects.toMatchObject({ code: 'STREAM_COMMIT_CONTENDED' });
    await first.catchUp();
    expect(first.history).toEqual(['a']);
    await first.log.seal();
    await second.log.seal();
    expect(second.log.isEnded).toBe(true);
  });

  it('are listed oldest first, without those that have not begun', async () => {
    const stores = memoryStores();
    expect(await listIncarnations(stores.appends, logPath)).toEqual([]);
    await start(stores, 'new', { path: next });
    await start(stores, 'old');
    await start(stores, 'elsewhere', { path: { ...logPath, partition: '8' } });
    await stores.appends.create(generationName({ ...logPath, incarnation: '000001765' }, 0));
    expect(await listIncarnations(stores.appends, logPath)).toEqual([
      logPath.incarnation,
      next.incarnation,
    ]);
  });

  it('that were created and not begun are begun with the snapshot of whoever comes', async () => {
    const stores = memoryStores();
    await stores.appends.create(generationName(logPath, 0));
    const inherited = {
      summary: { ...emptySummary, commit: 1, ledger: commitNumber(1).ledger },
      parts: [Buffer.from('["x"]')],
    };
    const heir = await start(stores, 'heir', { inherited });
    expect(heir.history).toEqual(['x']);
    expect(await heir.commit('y')).toBe('appended');
    expect((await start(stores, 'late')).history).toEqual(['x', 'y']);
  });
});

describe('reading along', () => {
  it('goes on from a remembered position across rolls', async () => {
    const stores = memoryStores();
    const { appends } = stores;
    const process = await start(stores, 'first');
    await process.commitOnce('a');
    const first = await readLog(appends, logPath, null);
    expect(kindsOf(first)).toEqual(['header', 'commit']);
    expect(first.isBroken).toBe(false);
    await process.commitOnce('b');
    await process.roll();
    const second = await readLog(appends, logPath, first.next);
    expect(kindsOf(second)).toEqual(['commit', 'seal', 'header']);
    await process.commitOnce('c');
    const third = await readLog(appends, logPath, second.next);
    expect(kindsOf(third)).toEqual(['commit']);
    expect(third.isBroken).toBe(false);
    expect(kindsOf(await readLog(appends, logPath, third.next))).toEqual([]);
  });

  it('says when what it wants was retired', async () => {
    const stores = memoryStores();
    const { appends } = stores;
    const process = await start(stores, 'first');
    await process.commitOnce('a');
    const before = await readLog(appends, logPath, null);
    await process.commitOnce('b');
    await process.roll();
    await process.retire();
    const after = await readLog(appends, logPath, before.next);
    expect(after.isBroken).toBe(true);
    expect(kindsOf(after)).toEqual(['header']);
    expect((await readLog(appends, logPath, null)).isBroken).toBe(true);
  });

  it('lists the logs of a topology', async () => {
    const stores = memoryStores();
    const other = { ...logPath, stage: 'daily', partition: '0' };
    await start(stores, 'first');
    await start(stores, 'second', { path: other });
    await start(stores, 'third', { path: { ...logPath, topology: 'flights-2' } });
    expect(await listLogs(stores.appends, 'flights')).toEqual([other, logPath]);
  });
});

function kindsOf(stretch: Awaited<ReturnType<typeof readLog>>): string[] {
  return stretch.records.map(({ kind }) => kind);
}
