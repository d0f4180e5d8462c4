import type { AppendStore } from '../model/ports';
import type { BlobContainer } from './blob-container';
import { downloadFrom } from './blob-download';
import { codeOf, statusOf } from './blob-failure';

const listPageSize = 5_000;

/** Append blobs of one container. */
export class BlobAppendStore implements AppendStore {
  readonly #container: BlobContainer;

  constructor(container: BlobContainer) {
    this.#container = container;
  }

  create(name: string): Promise<'created' | 'exists'> {
    const client = this.#container.client.getAppendBlobClient(name);
    return this.#container.run({ operation: 'create', blob: name }, async (abortSignal) => {
      try {
        await client.create({ abortSignal, conditions: { ifNoneMatch: '*' } });
        return 'created';
      } catch (error) {
        if (isTaken(error)) return 'exists';
        throw error;
      }
    });
  }

  append(
    request: Parameters<AppendStore['append']>[0],
  ): Promise<'appended' | 'conflict' | 'missing'> {
    const { block, expectedPosition, name } = request;
    const client = this.#container.client.getAppendBlobClient(name);
    const operation = { operation: 'append', blob: name, bytes: block.byteLength };
    return this.#container.run(operation, async (abortSignal) => {
      try {
        await client.appendBlock(block, block.byteLength, {
          abortSignal,
          conditions: { appendPosition: expectedPosition },
        });
        return 'appended';
      } catch (error) {
        if (statusOf(error) === 404) return 'missing';
        if (isRefusedCondition(error)) return 'conflict';
        throw error;
      }
    });
  }

  readFrom(name: string, fromPosition: number): Promise<Uint8Array | undefined> {
    return downloadFrom(this.#container, { blob: name, fromPosition, isPinned: false });
  }

  stat(
    name: string,
  ): Promise<{ readonly bytes: number; readonly modifiedAtMs: number } | undefined> {
    const client = this.#container.client.getBlobClient(name);
    return this.#container.run({ operation: 'stat', blob: name }, async (abortSignal) => {
      try {
        const { contentLength, lastModified } = await client.getProperties({ abortSignal });
        return { bytes: contentLength ?? 0, modifiedAtMs: lastModified?.getTime() ?? 0 };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  async list(prefix: string): Promise<readonly string[]> {
    return (await listBlobs(this.#container, prefix)).map(({ name }) => name);
  }

  delete(name: string): Promise<void> {
    return deleteBlob(this.#container, name);
  }
}

/** Names and lengths under a prefix, in lexical order; empty where there is no container yet. */
export function listBlobs(
  container: BlobContainer,
  prefix: string,
): Promise<{ readonly name: string; readonly bytes: number }[]> {
  return container.run({ operation: 'list', blob: `${prefix}*` }, async (abortSignal) => {
    const found: { name: string; bytes: number }[] = [];
    const pages = container.client
      .listBlobsFlat({ prefix, abortSignal, includeMetadata: true })
      .byPage({ maxPageSize: listPageSize });
    try {
      for await (const page of pages) {
        for (const { metadata, name, properties } of page.segment.blobItems) {
          // An account with a hierarchical namespace lists its folders too, as empty blobs.
          if (metadata?.['hdi_isfolder'] === 'true') continue;
          found.push({ name, bytes: properties.contentLength ?? 0 });
        }
      }
    } catch (error) {
      if (statusOf(error) === 404) return [];
      throw error;
    }
    return found;
  });
}

export function deleteBlob(container: BlobContainer, name: string): Promise<void> {
  const client = container.client.getBlobClient(name);
  return container.run({ operation: 'delete', blob: name }, async (abortSignal) => {
    try {
      await client.delete({ abortSignal });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  });
}

/** `If-None-Match: *` was not met. Azure says 409 BlobAlreadyExists, some conditions 412. */
export function isTaken(error: unknown): boolean {
  const status = statusOf(error);
  return (status === 409 && codeOf(error) === 'BlobAlreadyExists') || isRefusedCondition(error);
}

/** 412, but not for a lease that somebody holds on the blob: that is an operator's doing. */
function isRefusedCondition(error: unknown): boolean {
  return statusOf(error) === 412 && !(codeOf(error) ?? '').startsWith('Lease');
}
