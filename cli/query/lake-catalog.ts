/** The tables of a lake, those of topologies that are no more included, and what they hold now. */
import { readTable, type TableContents } from '../../shared/lake/table-reader';
import { StreamError } from '../../shared/model/errors';
import type { ObjectStore } from '../../shared/model/ports';
import type { TablePlan } from '../../shared/model/table';

/** A lake whose folders can be listed without everything in them. */
export interface BrowsableLake extends ObjectStore {
  /** Names of the folders right under a prefix that ends in a slash. */
  folders(prefix: string): Promise<readonly string[]>;
}

export interface CatalogTable {
  readonly name: string;
  readonly format: TablePlan['format'];
  readonly contents: TableContents;
}

const tablesFolder = 'tables/';

export class LakeCatalog {
  readonly #lake: BrowsableLake;
  readonly #planned: ReadonlyMap<string, TablePlan>;

  /** @param planned tables of today's topologies, which may hold nothing yet */
  constructor(lake: BrowsableLake, planned: readonly TablePlan[]) {
    this.#lake = lake;
    this.#planned = new Map(planned.map((table) => [table.name, table]));
  }

  /** In lexical order. */
  async names(): Promise<readonly string[]> {
    const found = await this.#lake.folders(tablesFolder);
    return Array.from(new Set([...found, ...this.#planned.keys()])).sort();
  }

  /** Null: it is planned and holds nothing yet. */
  async load(name: string): Promise<CatalogTable | null> {
    const folder = `${tablesFolder}${name}`;
    const planned = this.#planned.get(name)?.format;
    const logs = await this.#lake.folders(`${folder}/`);
    const formats: TablePlan['format'][] = logs.includes('_delta_log')
      ? ['delta']
      : logs.includes('_millrace_log')
        ? ['ndjson', 'ndjson-gzip']
        : [];
    // Both kinds of NDJSON have one kind of log: the planned one is tried first.
    formats.sort((left, right) => Number(right === planned) - Number(left === planned));
    for (const [index, format] of formats.entries()) {
      try {
        const contents = await readTable({ objects: this.#lake, folder, format });
        return contents.version < 0 ? null : { name, format, contents };
      } catch (error) {
        const isOther =
          error instanceof StreamError &&
          error.code === 'STREAM_TABLE_INCOMPATIBLE' &&
          error.details['provider'] !== undefined;
        if (!isOther || index === formats.length - 1) throw error;
      }
    }
    return null;
  }
}
