/**
 * The topology of the simulation: a source stage with a table, an exchange, and a second stage with
 * windows and another table. Written once; each run replaces what a killing event does.
 */
import { Type } from 'typebox';
import {
  Nullable,
  Timestamp,
  count,
  minutes,
  reduce,
  seconds,
  topology,
  tumbling,
  type KeyedStream,
  type Topology,
} from '../../../shared/dataflow';
import { earlyLimitMs } from './workload';

export const sourceHub = 'orders';
export const exchangeHub = 'simulated-customer';
export const sourceStage = 'orders';
export const windowStage = 'by-customer';
export const sourceTable = 'orders_paid';
export const windowTable = 'customer_minutes';
/** A sink that some builds have besides. */
export const copyTable = 'orders_copy';
/** What a window that some builds have besides is called, and where its rows go. */
export const pairsName = 'pairs';
export const pairsTable = 'customer_pairs';
export const outOfOrdernessMs = seconds(30);
export const windowsName = 'windows';
export const windowMs = minutes(1);
export const pairMs = minutes(2);
export const graceMs = minutes(1);

/** The code that some orders do harm to. */
export const harmfulCode = {
  /** What an order with `harm: 'kill'` does to the process that looks at it. */
  kill: (): void => {
    throw new Error('no run is under way');
  },
  /** A better version was deployed: orders with `harm` do none. */
  isMended: false,
};

export interface Quiet {
  readonly after: number;
  readonly maxDelay: number;
}

/** What of the source's time differs between runs. */
export interface SourceTime {
  /** Wall clock moves it; null: it does not. */
  readonly quiet: Quiet | null;
  readonly early: 'deadLetter' | 'clamp';
}

/** In what the topology of one build differs from the plainest. */
export interface Shape {
  /** The same in lines of another order: no change of the plan. */
  readonly isReordered: boolean;
  /** What a function of no name adds to amounts: no change of the plan either. */
  readonly surcharge: number;
  /** Orders whose amount is one of these are filtered: an operator more. */
  readonly isFiltered: boolean;
  /** A sink more. */
  readonly isCopied: boolean;
  /** A column more, which may be null. */
  readonly isNoted: boolean;
  /** A field of the source more, which may be missing. */
  readonly hasField: boolean;
  /** A window more. */
  readonly isPaired: boolean;
  /** A field may be a fraction that had to be whole: somebody has to decide. */
  readonly isWidened: boolean;
}

export const plainShape: Shape = {
  isReordered: false,
  surcharge: 0,
  isFiltered: false,
  isCopied: false,
  isNoted: false,
  hasField: false,
  isPaired: false,
  isWidened: false,
};

/** An amount that the operator of builds with `isFiltered` lets through no more. */
export function isRefusedAmount(amount: number): boolean {
  return amount % 5 === 3;
}

interface Paid {
  readonly id: number;
  readonly customer: string;
  readonly time: number;
  readonly amount: number;
}

const orderSchema = ({ hasField, isWidened }: Shape) =>
  Type.Object({
    id: Type.Integer(),
    customer: Type.String(),
    time: Timestamp(),
    amount: isWidened ? Type.Number() : Type.Integer(),
    harm: Type.Optional(Type.String()),
    ...(hasField && { channel: Type.Optional(Type.String()) }),
  });

/** The topology as one build has it. */
export function topologyOf(time: SourceTime, shape: Shape): Topology {
  return topology(topologyName, (t) => {
    const { early, quiet } = time;
    const { surcharge } = shape;
    const orders = t
      .source(sourceHub, {
        schema: orderSchema(shape),
        eventTime: (order) => order.time,
        outOfOrderness: outOfOrdernessMs,
        early: { limit: earlyLimitMs, policy: early },
        ...(quiet !== null && { quiet }),
      })
      .filter((order) => order.amount >= 0);
    const wanted = shape.isFiltered
      ? orders.filter((order) => !isRefusedAmount(order.amount))
      : orders;
    const paid = wanted.map(({ amount, customer, harm, id, time }): Paid => {
      if (harm !== undefined && !harmfulCode.isMended) {
        if (harm === 'kill') harmfulCode.kill();
        throw new Error('this order cannot be shaped');
      }
      return { id, customer, time, amount: amount + surcharge };
    });
    const columns = {
      id: Type.Integer(),
      customer: Type.String(),
      time: Timestamp(),
      amount: Type.Integer(),
    };
    const intoTables = (): void => {
      if (shape.isNoted) {
        paid
          .map((order) => ({ ...order, note: noteOf(order.id) }))
          .toLake(sourceTable, {
            schema: Type.Object({ ...columns, note: Nullable(Type.String()) }),
          });
      } else paid.toLake(sourceTable, { schema: Type.Object(columns) });
      if (shape.isCopied) paid.toLake(copyTable, { schema: Type.Object(columns) });
    };
    const intoWindows = (): void => {
      const keyed = paid.keyBy(
        (order) => {
          // By then its row is put out: the row has to go with the event.
          if (order.customer === '') throw new Error('this order has no customer');
          return order.customer;
        },
        { name: 'customer' },
      );
      const wide = (): void => windowInto(keyed, pairsName, pairMs, pairsTable);
      if (shape.isPaired && shape.isReordered) wide();
      windowInto(keyed, windowsName, windowMs, windowTable);
      if (shape.isPaired && !shape.isReordered) wide();
    };
    const parts = shape.isReordered ? [intoWindows, intoTables] : [intoTables, intoWindows];
    for (const part of parts) part();
  });
}

/** What a build with `isNoted` writes into the column. */
export function noteOf(id: number): string | null {
  return id % 3 === 0 ? null : `note ${id}`;
}

function windowInto(
  keyed: KeyedStream<string, Paid>,
  name: string,
  sizeMs: number,
  table: string,
): void {
  keyed
    .window(tumbling(sizeMs), { name, grace: graceMs, late: 'drop' })
    // Asks for whole orders, so that they travel whole: by their ids the model knows them again.
    .aggregate({
      orders: count(),
      total: reduce(0, (total: number, order: Paid) => total + order.amount),
    })
    .map((window) => ({
      customer: window.key,
      minute: window.windowStart,
      orders: window.orders,
      total: window.total,
    }))
    .toLake(table, {
      schema: Type.Object({
        customer: Type.String(),
        minute: Timestamp(),
        orders: Type.Integer(),
        total: Type.Number(),
      }),
    });
}

export const topologyName = 'simulated';
