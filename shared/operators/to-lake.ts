import { cellCheck } from '../model/cells';
import type { Cell, Column } from '../model/table';
import type { LakeNode } from '../topology/graph';
import type { OperatorContext, Receiver } from './context';

/** Writes each value as a row. Delivery: exactly once for readers of the table's log. */
export function compileToLake(node: LakeNode, context: OperatorContext, table: number): Receiver {
  // One called `constructor` is found on every object: a row has it only where it says so itself.
  const columns = node.table.columns.map((column) => ({
    column,
    isOnEveryObject: column.name in Object.prototype,
  }));
  return (value) => {
    context.operator = node.name;
    if (typeof value !== 'object' || value === null) {
      throw new TypeError(
        `a row must be an object, this one is ${JSON.stringify(value) ?? 'undefined'}`,
      );
    }
    const row: Cell[] = [];
    for (const { column, isOnEveryObject } of columns) {
      const { name } = column;
      const isThere = !isOnEveryObject || Object.hasOwn(value, name);
      row.push(checkedCell(column, isThere ? (value as Record<string, unknown>)[name] : null));
    }
    context.outputs.row(table, row);
    context.isEmitted = true;
  };
}

/** Types end at run time: a cell that its column cannot hold must not spoil a whole file. */
function checkedCell(column: Column, cell: unknown): Cell {
  if (cell === undefined || cell === null) {
    if (column.nullable) return null;
  } else if (cellCheck(column.type)(cell)) {
    return cell as Cell;
  }
  throw new TypeError(
    `column ${column.name} is ${column.nullable ? 'nullable ' : ''}${column.type}, the row has ${JSON.stringify(cell) ?? String(cell)}`,
  );
}
