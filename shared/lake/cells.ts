import { StreamError } from '../model/errors';
import { canonicalCell, cellRule, type CellRule } from '../model/cells';
import type { Cell, Column, Row, TablePlan } from '../model/table';

/** The cells of one column, fit for a file. */
export interface ColumnCells {
  readonly cells: readonly Cell[];
  /** A byte per row that says which are there; undefined where all are. */
  readonly present: Uint8Array | undefined;
}

export interface PlacedColumn {
  readonly column: Column;
  /** In a row. */
  readonly place: number;
}

/**
 * Checks the cells of a column and gives them as every output has them. Rejects a cell that does not
 * fit with STREAM_TABLE_INCOMPATIBLE: wrong values must never get into a file.
 * @param table what it is partitioned by has narrower rules
 */
export function columnCells(
  { column, place }: PlacedColumn,
  rows: readonly Row[],
  table?: Pick<TablePlan, 'format' | 'partitionBy'>,
): ColumnCells {
  const rule = cellRule(column, table);
  const { accepts } = rule;
  const cells = new Array<Cell>(rows.length);
  let present: Uint8Array | undefined;
  for (let index = 0; index < rows.length; index += 1) {
    const cell = rows[index]?.[place] ?? null;
    if (cell === null) {
      if (!column.nullable) throw unfit(column, rule, cell);
      present ??= new Uint8Array(cells.length).fill(1);
      present[index] = 0;
      cells[index] = null;
    } else {
      if (!accepts(cell)) throw unfit(column, rule, cell);
      cells[index] = canonicalCell(cell);
    }
  }
  return { cells, present };
}

function unfit(column: Column, rule: CellRule, cell: Cell): StreamError {
  const value = typeof cell === 'bigint' ? `${cell}n` : JSON.stringify(cell);
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `a row holds ${value.slice(0, 100)} in column ${column.name} (${column.type}, ${column.nullable ? 'nullable' : 'required'}), ` +
      `which takes ${rule.words}; emit a value of the declared type, or declare another type for a new table`,
    { details: { column: column.name, type: column.type } },
  );
}
