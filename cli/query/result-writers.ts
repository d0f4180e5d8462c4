/** Results of statements, written as they come: never more than one chunk of rows is held. */
import type DuckDbModule from '@duckdb/node-api';
import type { DuckDBResult, DuckDBType, DuckDBValue } from '@duckdb/node-api';
import stringWidth from 'string-width';
import { csvField, jsonWriter, shownCell, textWriter } from './values';

type DuckDb = typeof DuckDbModule;

export type ResultForm = 'json' | 'csv' | 'table';

/** Where text goes; false: nobody reads it any more. */
export type Sink = (text: string) => Promise<boolean>;

interface Columns {
  readonly names: readonly string[];
  readonly types: readonly DuckDBType[];
}

/** Begins, goes on with chunks of columns, and ends one result. */
interface ResultWriter {
  begin(columns: Columns): string;
  rows(chunk: readonly (readonly string[])[], rowCount: number): string;
  end(): string;
}

/**
 * Writes one result.
 * @param options.isFirst several results are kept apart: JSON arrays by a line each, others by an empty line
 * @returns false: nobody reads it any more
 */
export async function writeResult(
  duckdb: DuckDb,
  result: DuckDBResult,
  options: { readonly form: ResultForm; readonly isFirst: boolean; readonly sink: Sink },
): Promise<boolean> {
  const { form, isFirst, sink } = options;
  const names = result.deduplicatedColumnNames();
  const types = result.columnTypes();
  const writer = { json: jsonRows, csv: csvRows, table: tableRows }[form]();
  const toText = types.map((type) => (form === 'json' ? jsonWriter : textWriter)(duckdb, type));
  const isSeparate = !isFirst && form !== 'json';
  if (!(await sink(`${isSeparate ? '\n' : ''}${writer.begin({ names, types })}`))) return false;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const columns = chunk
      .getColumns()
      .map((cells, index) => cells.map(toText[index] as (value: DuckDBValue) => string));
    if (!(await sink(writer.rows(columns, chunk.rowCount)))) return false;
  }
  return sink(writer.end());
}

/** One array of objects, a row a line. */
function jsonRows(): ResultWriter {
  let keys: string[] = [];
  let hasRows = false;
  return {
    begin: ({ names }) => {
      keys = names.map((name, index) => `${index === 0 ? '' : ','}${JSON.stringify(name)}:`);
      return '[';
    },
    rows: (chunk, rowCount) => {
      let text = '';
      for (let row = 0; row < rowCount; row += 1) {
        text += hasRows ? ',\n{' : '{';
        hasRows = true;
        for (let column = 0; column < keys.length; column += 1) {
          text += (keys[column] ?? '') + (chunk[column]?.[row] ?? 'null');
        }
        text += '}';
      }
      return text;
    },
    end: () => ']\n',
  };
}

function csvRows(): ResultWriter {
  return {
    begin: ({ names }) => `${names.map(csvField).join(',')}\r\n`,
    rows: (chunk, rowCount) => {
      let text = '';
      for (let row = 0; row < rowCount; row += 1) {
        for (let column = 0; column < chunk.length; column += 1) {
          text += (column === 0 ? '' : ',') + csvField(chunk[column]?.[row] ?? '');
        }
        text += '\r\n';
      }
      return text;
    },
    end: () => '',
  };
}

/** Columns as wide as the first chunk needs; a later cell that is wider moves its own line only. */
function tableRows(): ResultWriter {
  let names: readonly string[] = [];
  let widths: number[] | null = null;
  const line = (cells: readonly string[]): string =>
    `${cells
      .map(
        (cell, column) =>
          cell + ' '.repeat(Math.max(0, (widths?.[column] ?? 0) - stringWidth(cell))),
      )
      .join('  ')
      .trimEnd()}\n`;
  return {
    begin: (columns) => {
      names = columns.names.map(shownCell);
      return '';
    },
    rows: (chunk, rowCount) => {
      const shown = chunk.map((cells) => cells.map(shownCell));
      let text = '';
      if (widths === null) {
        widths = names.map((name, column) =>
          (shown[column] ?? []).reduce(
            (width, cell) => Math.max(width, stringWidth(cell)),
            stringWidth(name),
          ),
        );
        text += line(names);
      }
      for (let row = 0; row < rowCount; row += 1)
        text += line(shown.map((cells) => cells[row] ?? ''));
      return text;
    },
    end: () => (widths === null ? 'No rows.\n' : ''),
  };
}
