import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { ContainerClient } from '@azure/storage-blob';
import type { Columns } from './rows';

/** Texts over this leave the table: the Azure Storage provider's limit. */
const inlineBytesMax = 45 * 1024;
const suffix = 'BlobName';

/** Long column texts as gzipped blobs in `{hub}-largemessages`. A blob is never overwritten. */
export class LargePayloads {
  readonly #container: ContainerClient;

  constructor(connectionString: string, hubName: string) {
    this.#container = new ContainerClient(
      connectionString,
      `${hubName.toLowerCase()}-largemessages`,
    );
  }

  async initialize(): Promise<void> {
    await this.#container.createIfNotExists();
  }

  /**
   * Moves long texts out: column X becomes XBlobName. Returns the blobs' names too. A text that is in a
   * blob already (`known`, by text) stays there.
   */
  async moveOut(
    folder: string,
    columns: Columns,
    known: ReadonlyMap<string, string> = new Map(),
  ): Promise<{ columns: Columns; blobs: string[]; moved: Map<string, string> }> {
    const kept: Columns = {};
    const moved = new Map<string, string>();
    for (const [name, value] of Object.entries(columns)) {
      // Tables count two bytes a character.
      if (typeof value !== 'string' || value.length * 2 <= inlineBytesMax) {
        kept[name] = value;
        continue;
      }
      let blob = moved.get(value) ?? known.get(value);
      if (blob === undefined) {
        blob = `${folder}/${randomUUID()}-${name}.json.gz`;
        const bytes = await promisify(gzip)(value);
        await this.#container.getBlockBlobClient(blob).uploadData(bytes);
      }
      kept[`${name}${suffix}`] = blob;
      moved.set(value, blob);
    }
    return { columns: kept, blobs: [...moved.values()], moved };
  }

  /** Brings moved texts back in. */
  async bringIn(row: Readonly<Record<string, unknown>>): Promise<{
    row: Record<string, unknown>;
    blobs: string[];
    moved: Map<string, string>;
  }> {
    const whole: Record<string, unknown> = {};
    const moved = new Map<string, string>();
    for (const [name, value] of Object.entries(row)) {
      if (!name.endsWith(suffix) || typeof value !== 'string') {
        whole[name] = value;
        continue;
      }
      const bytes = await this.#container.getBlockBlobClient(value).downloadToBuffer();
      const text = (await promisify(gunzip)(bytes)).toString();
      whole[name.slice(0, -suffix.length)] = text;
      moved.set(text, value);
    }
    return { row: whole, blobs: [...moved.values()], moved };
  }

  async remove(blobs: readonly string[]): Promise<void> {
    for (const blob of blobs) await this.#container.getBlockBlobClient(blob).deleteIfExists();
  }

  async removeFolder(folder: string): Promise<void> {
    for await (const { name } of this.#container.listBlobsFlat({ prefix: `${folder}/` })) {
      await this.#container.getBlockBlobClient(name).deleteIfExists();
    }
  }
}
