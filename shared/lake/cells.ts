import { StreamError } from '../model/errors';
import { cellCheck } from '../model/cells';
import type { Cell, Column } from '../model/table';

/**
 * Checks a column's cells against its type; a byte per row that says which are there, or undefined
 * where all are. Rejects a cell that does not fit with STREAM_TABLE_INCOMPATIBLE: wrong values must
 * never get into a file.
 */
export function assertCells(column: Column, cells: readonly Cell[]): Uint8Array | undefined {
  const check = cellCheck(column.type);
  let present: Uint8Array | undefined;
  for (let index = 0; index < cells.length; index += 1) {
    const cell = cells[index] ?? null;
    if (cell === null) {
      if (!column.nullable) throw unfit(column, cell);
      present ??= new Uint8Array(cells.length).fill(1);
      present[index] = 0;
    } else if (!check(cell)) {
      throw unfit(column, cell);
    }
  }
  return present;
}

function unfit(column: Column, cell: Cell): StreamError {
  const value = JSON.stringify(cell).slice(0, 100);
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `a row holds ${value} in column ${column.name} (${column.type}, ${column.nullable ? 'nullable' : 'required'}); ` +
      'emit a value of the declared type, or declare another type for a new table',
    { details: { column: column.name, type: column.type } },
  );
}
