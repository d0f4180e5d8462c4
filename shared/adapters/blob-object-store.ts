import type { BlockBlobUploadOptions } from '@azure/storage-blob';
import type { ObjectStore } from '../model/ports';
import { deleteBlob, isTaken, listBlobs } from './blob-append-store';
import type { BlobContainer } from './blob-container';
import { downloadFrom } from './blob-download';
import { statusOf } from './blob-failure';

/** More than that is sent in blocks and committed at once. */
const singlePutBytesMax = 64 * 1024 * 1024;
const putBlockBytes = 16 * 1024 * 1024;
const putConcurrency = 2;

/** Block blobs of one container. */
export class BlobObjectStore implements ObjectStore {
  readonly #container: BlobContainer;

  constructor(container: BlobContainer) {
    this.#container = container;
  }

  put(name: string, bytes: Uint8Array): Promise<void> {
    return this.#container.run(
      { operation: 'put', blob: name, bytes: bytes.byteLength },
      (abortSignal) => this.#upload(name, bytes, { abortSignal }),
    );
  }

  putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const request = { operation: 'putIfAbsent', blob: name, bytes: bytes.byteLength };
    return this.#container.run(request, async (abortSignal) => {
      try {
        await this.#upload(name, bytes, { abortSignal, conditions: { ifNoneMatch: '*' } });
        return 'created';
      } catch (error) {
        if (isTaken(error)) return 'exists';
        throw error;
      }
    });
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return downloadFrom(this.#container, { blob: name, fromPosition: 0, isPinned: true });
  }

  list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    return listBlobs(this.#container, prefix);
  }

  /** Names of the folders right under a prefix that ends in a slash; empty where there is no container. */
  folders(prefix: string): Promise<readonly string[]> {
    const request = { operation: 'list', blob: `${prefix}*/` };
    return this.#container.run(request, async (abortSignal) => {
      const found: string[] = [];
      const items = this.#container.client.listBlobsByHierarchy('/', { prefix, abortSignal });
      try {
        for await (const item of items) {
          if (item.kind === 'prefix') found.push(item.name.slice(prefix.length, -1));
        }
      } catch (error) {
        if (statusOf(error) === 404) return [];
        throw error;
      }
      return found;
    });
  }

  delete(name: string): Promise<void> {
    return deleteBlob(this.#container, name);
  }

  async #upload(name: string, bytes: Uint8Array, options: BlockBlobUploadOptions): Promise<void> {
    const client = this.#container.client.getBlockBlobClient(name);
    if (bytes.byteLength <= singlePutBytesMax) {
      await client.upload(bytes, bytes.byteLength, options);
      return;
    }
    const { abortSignal, conditions } = options;
    await client.uploadData(bytes, {
      blockSize: putBlockBytes,
      maxSingleShotSize: singlePutBytesMax,
      concurrency: putConcurrency,
      ...(abortSignal === undefined ? {} : { abortSignal }),
      ...(conditions === undefined ? {} : { conditions }),
    });
  }
}
