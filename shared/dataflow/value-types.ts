/** Types of the values that streams carry, and of what is wrong with them, as the compiler tells it. */
import type { Aggregate } from '../operators/aggregates';

/** A value that others are given too: nobody may change it. */
export type DeepReadonly<Value> = Value extends (...args: never[]) => unknown
  ? Value
  : Value extends object
    ? { readonly [Name in keyof Value]: DeepReadonly<Value[Name]> }
    : Value;

/**
 * The name of a table that rows fit; else what is wrong with them, as a type that no name has: so that the
 * compiler says it in one line, at the call.
 */
export type TableNameFor<Row, TableRow> = [Row] extends [TableRow]
  ? string
  : [RowFault<Row, TableRow>] extends [never]
    ? 'the rows do not fit the schema of the table'
    : OneOf<RowFault<Row, TableRow>>;

/** Of several faults one: of a union the compiler would say only what it is called here. */
type OneOf<Faults> = (
  (Faults extends string ? (fault: () => Faults) => void : never) extends (fault: infer All) => void
    ? All
    : never
) extends (() => infer Fault extends string)
  ? Fault
  : never;

type RowFault<Row, TableRow> = {
  [Column in keyof TableRow & string]-?: Column extends keyof Row
    ? Row[Column] extends TableRow[Column]
      ? never
      : `column ${Column} of the rows has another type than in the schema of the table`
    : undefined extends TableRow[Column]
      ? never
      : `the rows have no column ${Column}, which the schema of the table asks for`;
}[keyof TableRow & string];

/** What a window gives out: its key, its bounds (half-open, epoch milliseconds) and its results. */
export type WindowResult<Key, Aggregates> = {
  readonly key: Key;
  readonly windowStart: number;
  readonly windowEnd: number;
} & {
  readonly [Name in keyof Aggregates]: Aggregates[Name] extends Aggregate<
    never,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any accumulator will do
    any,
    infer Result
  >
    ? Result
    : never;
};

/** A result that later ones of its key may replace. */
export interface Update<Value> {
  readonly value: Value;
  /** No later one will replace it. */
  readonly isFinal: boolean;
}
