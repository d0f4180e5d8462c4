import type { AppendStore, Clock, ObjectStore } from '../model/ports';

interface MemoryBlob {
  blocks: Uint8Array[];
  bytes: number;
  modifiedAtMs: number;
}

/** Append blobs in memory, with the semantics of the service: for benches and simulations. */
export class MemoryAppendStore implements AppendStore {
  readonly #blobs = new Map<string, MemoryBlob>();
  readonly #clock: Clock;

  /** @param clock tells the times of last writes; without it they stand still */
  constructor(clock: Clock = { nowMs: () => 0 }) {
    this.#clock = clock;
  }

  async create(name: string): Promise<'created' | 'exists'> {
    if (this.#blobs.has(name)) return 'exists';
    this.#blobs.set(name, { blocks: [], bytes: 0, modifiedAtMs: this.#clock.nowMs() });
    return 'created';
  }

  async append(
    request: Parameters<AppendStore['append']>[0],
  ): Promise<'appended' | 'conflict' | 'missing'> {
    const blob = this.#blobs.get(request.name);
    if (blob === undefined) return 'missing';
    if (blob.bytes !== request.expectedPosition) return 'conflict';
    blob.blocks.push(new Uint8Array(request.block));
    blob.bytes += request.block.byteLength;
    blob.modifiedAtMs = this.#clock.nowMs();
    return 'appended';
  }

  async readFrom(name: string, fromPosition: number): Promise<Uint8Array | undefined> {
    const blob = this.#blobs.get(name);
    if (blob === undefined) return undefined;
    const tail: Uint8Array[] = [];
    let start = blob.bytes;
    for (let index = blob.blocks.length - 1; index >= 0 && start > fromPosition; index -= 1) {
      const block = blob.blocks[index] ?? new Uint8Array();
      tail.push(block);
      start -= block.byteLength;
    }
    return Buffer.concat(tail.reverse()).subarray(Math.max(0, fromPosition - start));
  }

  async stat(
    name: string,
  ): Promise<{ readonly bytes: number; readonly modifiedAtMs: number } | undefined> {
    const blob = this.#blobs.get(name);
    return blob && { bytes: blob.bytes, modifiedAtMs: blob.modifiedAtMs };
  }

  async list(prefix: string): Promise<readonly string[]> {
    return Array.from(this.#blobs.keys())
      .filter((name) => name.startsWith(prefix))
      .sort();
  }

  async delete(name: string): Promise<void> {
    this.#blobs.delete(name);
  }
}

/** Whole objects in memory. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, Uint8Array>();

  async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#objects.set(name, new Uint8Array(bytes));
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.#objects.has(name)) return 'exists';
    await this.put(name, bytes);
    return 'created';
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#objects.get(name);
  }

  async list(
    prefix: string,
  ): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    return Array.from(this.#objects, ([name, { byteLength }]) => ({ name, bytes: byteLength }))
      .filter(({ name }) => name.startsWith(prefix))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async delete(name: string): Promise<void> {
    this.#objects.delete(name);
  }
}
