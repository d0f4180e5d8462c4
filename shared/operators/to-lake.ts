import { canonicalCell, cellRule, type CellRule } from '../model/cells';
import { shown } from '../model/shown';
import type { Cell, Column } from '../model/table';
import type { LakeNode } from '../dataflow/graph';
import type { OperatorContext, Receiver } from '../dataflow/operator';

/** Writes each value as a row. Delivery: exactly once for readers of the table's log. */
export function compileToLake(node: LakeNode, context: OperatorContext, table: number): Receiver {
  // One called `constructor` is found on every object: a row has it only where it says so itself.
  const columns = node.table.columns.map((column) => ({
    column,
    rule: cellRule(column, node.table),
    isOnEveryObject: column.name in Object.prototype,
  }));
  return (value) => {
    context.operator = node.name;
    if (typeof value !== 'object' || value === null) {
      throw new TypeError(`a row must be an object, this one is ${shown(value)}`);
    }
    const row: Cell[] = [];
    for (const { column, isOnEveryObject, rule } of columns) {
      const { name } = column;
      const isThere = !isOnEveryObject || Object.hasOwn(value, name);
      const cell = isThere ? (value as Record<string, unknown>)[name] : null;
      row.push(checkedCell(column, rule, cell));
    }
    context.outputs.row(table, row);
    context.isEmitted = true;
  };
}

/** Types end at run time: a cell that its column cannot hold must not spoil a whole file. */
function checkedCell(column: Column, rule: CellRule, cell: unknown): Cell {
  if (cell === undefined || cell === null) {
    if (column.nullable) return null;
  } else if (rule.accepts(cell) && !isIntegerText(column, cell)) {
    return canonicalCell(cell as NonNullable<Cell>);
  }
  throw new TypeError(
    `column ${column.name} is ${column.nullable ? 'nullable ' : ''}${column.type} (${rule.words}), the row has ${shown(cell)}`,
  );
}

/** The log's own form of a large integer: a function that gives texts has not meant numbers. */
function isIntegerText(column: Column, cell: unknown): boolean {
  return column.type === 'integer' && typeof cell === 'string';
}
