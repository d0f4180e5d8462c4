import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer } from '../../shared/adapters/blob-container';
import { BlobObjectStore } from '../../shared/adapters/blob-object-store';
import { MemoryAppendStore, MemoryObjectStore } from '../../shared/adapters/memory-stores';
import type { AppendStore, ObjectStore } from '../../shared/model/ports';
import { startAzurite, type Azurite } from '../support/azurite';

let azurite: Azurite;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

function container(): ReturnType<typeof connectContainer> {
  containers += 1;
  const { connectionString } = azurite;
  return connectContainer({ connectionString, container: `container-${containers}` });
}

const appendStores: [string, () => AppendStore][] = [
  ['memory', () => new MemoryAppendStore()],
  ['Azurite', () => new BlobAppendStore(container())],
];
const objectStores: [string, () => ObjectStore][] = [
  ['memory', () => new MemoryObjectStore()],
  ['Azurite', () => new BlobObjectStore(container())],
];

const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (found: Uint8Array | undefined): string | undefined =>
  found && Buffer.from(found).toString();

describe.each(appendStores)('append store: %s', (_name, make) => {
  it('knows nothing of a blob that was not created, even without a container', async () => {
    const store = make();
    expect(await store.readFrom('a/b', 0)).toBeUndefined();
    expect(await store.stat('a/b')).toBeUndefined();
    expect(await store.list('a/')).toEqual([]);
    expect(await store.append({ name: 'a/b', block: bytes('x'), expectedPosition: 0 })).toBe(
      'missing',
    );
    await store.delete('a/b');
  });

  it('creates once', async () => {
    const store = make();
    expect(await store.create('a/b')).toBe('created');
    expect(await store.create('a/b')).toBe('exists');
    expect(textOf(await store.readFrom('a/b', 0))).toBe('');
    expect((await store.stat('a/b'))?.bytes).toBe(0);
  });

  it('creates once in a race of twenty', async () => {
    const store = make();
    await store.create('warm');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.create('raced')));
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
  });

  it('appends at the expected position only', async () => {
    const store = make();
    await store.create('log');
    const append = (text: string, expectedPosition: number): ReturnType<AppendStore['append']> =>
      store.append({ name: 'log', block: bytes(text), expectedPosition });
    expect(await append('one', 0)).toBe('appended');
    expect(await append('zombie', 0)).toBe('conflict');
    expect(await append('early', 9)).toBe('conflict');
    expect(await append('two', 3)).toBe('appended');
    expect(textOf(await store.readFrom('log', 0))).toBe('onetwo');
    expect(textOf(await store.readFrom('log', 3))).toBe('two');
    expect(textOf(await store.readFrom('log', 6))).toBe('');
    expect(textOf(await store.readFrom('log', 7))).toBe('');
    expect((await store.stat('log'))?.bytes).toBe(6);
  });

  it('lets one of many racing appends win each position', async () => {
    const store = make();
    await store.create('log');
    for (let position = 0; position < 5; position += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_value, writer) =>
          store.append({ name: 'log', block: bytes(String(writer)), expectedPosition: position }),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === 'appended')).toHaveLength(1);
    }
    expect((await store.readFrom('log', 0))?.byteLength).toBe(5);
  });

  it('lists under a prefix in lexical order, and forgets what is deleted', async () => {
    const store = make();
    for (const name of ['p/b', 'p/a', 'q/a', 'p/a/c']) await store.create(name);
    expect(await store.list('p/')).toEqual(['p/a', 'p/a/c', 'p/b']);
    await store.delete('p/a');
    expect(await store.list('p/')).toEqual(['p/a/c', 'p/b']);
    expect(await store.readFrom('p/a', 0)).toBeUndefined();
  });

  it('reads a blob longer than one range', async () => {
    const store = make();
    await store.create('long');
    const block = Buffer.alloc(4 * 1024 * 1024, 'x');
    for (let index = 0; index < 9; index += 1) {
      block.writeUInt32BE(index);
      const expectedPosition = index * block.byteLength;
      expect(await store.append({ name: 'long', block, expectedPosition })).toBe('appended');
    }
    const found = Buffer.from((await store.readFrom('long', block.byteLength)) ?? []);
    expect(found.byteLength).toBe(8 * block.byteLength);
    expect(found.readUInt32BE(7 * block.byteLength)).toBe(8);
  });
});

describe.each(objectStores)('object store: %s', (_name, make) => {
  it('knows nothing of what was not put', async () => {
    const store = make();
    expect(await store.get('a')).toBeUndefined();
    expect(await store.list('')).toEqual([]);
    await store.delete('a');
  });

  it('puts, replaces, lists and deletes', async () => {
    const store = make();
    await store.put('p/b', bytes('old'));
    await store.put('p/b', bytes('newer'));
    await store.put('p/a', bytes(''));
    expect(textOf(await store.get('p/b'))).toBe('newer');
    expect(textOf(await store.get('p/a'))).toBe('');
    expect(await store.list('p/')).toEqual([
      { name: 'p/a', bytes: 0 },
      { name: 'p/b', bytes: 5 },
    ]);
    await store.delete('p/b');
    expect(await store.get('p/b')).toBeUndefined();
  });

  it('puts if absent once in a race', async () => {
    const store = make();
    await store.put('warm', bytes(''));
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_value, writer) =>
        store.putIfAbsent('raced', bytes(String(writer))),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
    expect(textOf(await store.get('raced'))).toBe(String(outcomes.indexOf('created')));
  });

  it('keeps an object longer than one range', async () => {
    const store = make();
    const long = Buffer.alloc(33 * 1024 * 1024, 'y');
    long.write('end', long.byteLength - 3);
    await store.put('long', long);
    const found = Buffer.from((await store.get('long')) ?? []);
    expect(found.equals(long)).toBe(true);
  });
});

describe('an account with a hierarchical namespace', () => {
  it('lists folders as empty blobs: they are not listed to us', async () => {
    const blobs = container();
    const store = new BlobObjectStore(blobs);
    await store.put('folder/a', bytes('1'));
    await blobs.client
      .getBlockBlobClient('folder')
      .upload('', 0, { metadata: { hdi_isfolder: 'true' } });
    expect(await store.list('fold')).toEqual([{ name: 'folder/a', bytes: 1 }]);
  });
});
