/**
 * What travels of a value where all that take it behind the exchange say what they need of it: columns by who
 * needs them. A consumer that is not among them (another build sent the value, before there was this consumer)
 * is not given it.
 */
import { assertPlain } from '../../model/plain-value';
import type { Columns, Rows, Selector } from '../contract';

/** Who takes columns: a node by its name, through one of its ports. */
export function takerName(node: string, port: number): string {
  return `${node}.${port}`;
}

const separator = ',';

/** Stands in the place of a value. */
export class Carried {
  readonly #takers: readonly string[];
  readonly #columns: readonly unknown[];

  /** @param takers as `carriedFor` of the event says; @param columns what it carries in the place of a value */
  constructor(takers: string, columns: unknown) {
    this.#takers = takers.split(separator);
    this.#columns = Array.isArray(columns) ? columns : [];
  }

  /** Undefined: the columns are for others, or are not as many. */
  columnsFor(taker: string, count: number): readonly unknown[] | undefined {
    const columns = this.#columns[this.#takers.indexOf(taker)];
    return Array.isArray(columns) && columns.length === count ? columns : undefined;
  }
}

/** What an exchange carries of values: for each that takes them its selectors. */
export interface CarriedColumns {
  readonly takers: string;
  readonly selectors: readonly (readonly Selector[])[];
}

export function carriedColumns(
  takers: readonly {
    readonly node: string;
    readonly port: number;
    readonly selectors: readonly Selector[];
  }[],
): CarriedColumns {
  return {
    takers: takers.map(({ node, port }) => takerName(node, port)).join(separator),
    selectors: takers.map(({ selectors }) => selectors),
  };
}

/** The rows of which all that the taker needs is there: the others are not for it. */
export function rowsFor(rows: Rows, taker: string, count: number | null): Rows {
  const isFor = (value: unknown): boolean =>
    !(value instanceof Carried) || (count !== null && value.columnsFor(taker, count) !== undefined);
  let areAll = true;
  for (let index = 0; index < rows.length; index += 1) {
    if (!isFor(rows.values[index])) areAll = false;
  }
  if (areAll) return rows;
  const kept = Array.from({ length: rows.length }, (_, index) => index).filter((index) =>
    isFor(rows.values[index]),
  );
  const of = <Part>(parts: readonly Part[]): Part[] => kept.map((index) => parts[index] as Part);
  return {
    length: kept.length,
    ...{ values: of(rows.values), keys: rows.keys && of(rows.keys), times: of(rows.times) },
    ...{ marks: of(rows.marks), origins: of(rows.origins) },
  };
}

/** What the selectors make of rows; where their columns travelled, those. */
export function columnsOf(rows: Rows, selectors: readonly Selector[], taker: string): Columns {
  const { length, values } = rows;
  const columns = selectors.map((): unknown[] => new Array<unknown>(length));
  for (let index = 0; index < length; index += 1) {
    const value = values[index];
    const carried =
      value instanceof Carried ? value.columnsFor(taker, selectors.length) : undefined;
    for (let at = 0; at < selectors.length; at += 1) {
      const column = columns[at];
      if (column === undefined) continue;
      column[index] = carried === undefined ? selected(selectors[at], value) : carried[at];
    }
  }
  return columns;
}

/** What cannot travel is refused where it does not have to, too. */
function selected(select: Selector | undefined, value: unknown): unknown {
  const cell = select?.(value);
  if (typeof cell !== 'string') assertPlain(cell);
  return cell;
}
