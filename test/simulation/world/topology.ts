/**
 * The topology of the simulation: a source stage with a table, an exchange, and a second stage with
 * windows and another table. Written once; each run replaces what a killing event does.
 */
import { Type } from 'typebox';
import { plan } from '../../../shared/planner';
import { compileStage } from '../../../shared/execution';
import {
  Timestamp,
  count,
  minutes,
  seconds,
  sum,
  topology,
  tumbling,
  type Topology,
} from '../../../shared/dataflow';
import type { CompiledStage } from '../../../shared/task/services';
import { earlyLimitMs } from './workload';

export const sourceHub = 'orders';
export const exchangeHub = 'simulated-customer';
export const sourceStage = 'orders';
export const windowStage = 'by-customer';
export const sourceTable = 'orders_paid';
export const windowTable = 'customer_minutes';
export const outOfOrdernessMs = seconds(30);
export const windowMs = minutes(1);
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

const ordersOf = ({ early, quiet }: SourceTime): Topology =>
  topology('simulated', (t) => {
    const paid = t
      .source(sourceHub, {
        schema: Type.Object({
          id: Type.Integer(),
          customer: Type.String(),
          time: Timestamp(),
          amount: Type.Integer(),
          harm: Type.Optional(Type.String()),
        }),
        eventTime: (order) => order.time,
        outOfOrderness: outOfOrdernessMs,
        early: { limit: earlyLimitMs, policy: early },
        ...(quiet !== null && { quiet }),
      })
      .filter((order) => order.amount >= 0)
      .map((order) => {
        if (order.harm !== undefined && !harmfulCode.isMended) {
          if (order.harm === 'kill') harmfulCode.kill();
          throw new Error('this order cannot be shaped');
        }
        return { id: order.id, customer: order.customer, time: order.time, amount: order.amount };
      });
    paid.toLake(sourceTable, {
      schema: Type.Object({
        id: Type.Integer(),
        customer: Type.String(),
        time: Timestamp(),
        amount: Type.Integer(),
      }),
    });
    paid
      .keyBy(
        (order) => {
          // By then its row is put out: the row has to go with the event.
          if (order.customer === '') throw new Error('this order has no customer');
          return order.customer;
        },
        { name: 'customer' },
      )
      .window(tumbling(windowMs), { name: 'windows', grace: graceMs, late: 'drop' })
      .aggregate({ orders: count(), total: sum((order) => order.amount) })
      .map((window) => ({
        customer: window.key,
        minute: window.windowStart,
        orders: window.orders,
        total: window.total,
      }))
      .toLake(windowTable, {
        schema: Type.Object({
          customer: Type.String(),
          minute: Timestamp(),
          orders: Type.Integer(),
          total: Type.Number(),
        }),
      });
  });

export const topologyName = 'simulated';

const compiled = new Map<string, readonly CompiledStage[]>();

/** The stages of the topology; compiled once for all runs. */
export function compiledStagesOf(time: SourceTime): readonly CompiledStage[] {
  const name = JSON.stringify(time);
  let stages = compiled.get(name);
  if (stages === undefined) {
    const orders = ordersOf(time);
    stages = plan([orders]).stages.map((stage) => compileStage(stage, [orders]));
    compiled.set(name, stages);
  }
  return stages;
}
