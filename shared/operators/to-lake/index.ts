import { canonicalCell, cellRule, type CellRule } from '../../model/cells';
import { shown } from '../../model/shown';
import type { Cell, Column, Row, TablePlan } from '../../model/table';
import type { AppliedOperator, OperatorSpec } from '../contract';

interface Config {
  readonly table: TablePlan;
  /** Position in `StagePlan.tables`. */
  readonly position: number;
}

const spec: OperatorSpec<Config> = {
  kind: 'toLake',
  stateVersion: 1,
  shape: () => ({ inputs: [{ name: 'in' }], outputs: [], stores: [], timers: 'none' }),
  describe: ({ table: { columns, name, partitionBy } }) => ({ name, columns, partitionBy }),
  open: ({ position, table }, context) => {
    const rowOf = rowMaker(table);
    const { sink } = context;
    return {
      process: (_port, rows) => {
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          sink.row(position, rowOf(rows.values[index]));
        }
      },
    };
  },
};

/** Writes each value as a row. Delivery: exactly once for readers of the table's log. */
export function toLake(table: TablePlan, position: number): AppliedOperator {
  const config: Config = { table, position };
  return { spec, config };
}

function rowMaker(table: TablePlan): (value: unknown) => Row {
  // One called `constructor` is found on every object: a row has it only where it says so itself.
  const columns = table.columns.map((column) => ({
    column,
    rule: cellRule(column, table),
    isOnEveryObject: column.name in Object.prototype,
  }));
  return (value) => {
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
    return row;
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
