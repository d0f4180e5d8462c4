/**
 * Orders for the fault tests, and what must become of them: the oracle is a plain fold over the
 * orders, and shares no code with the engine.
 */
export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly time: number;
  readonly amount: number;
  readonly harm?: string;
}

const firstOrderMs = Date.UTC(2026, 0, 1);

/** The same orders for the same seed: 20 customers, 40 ms apart, up to 20 s out of order. */
export function someOrders(count: number, seed = 1): Order[] {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: count }, (_, id) => ({
    id,
    customer: `customer-${Math.floor(random() * 20)}`,
    time: firstOrderMs + id * 40 - Math.floor(random() * 20_000),
    amount: Math.floor(random() * 110) - 10,
  }));
}

/** Rows of `orders_paid` as text, sorted: [id, customer, time, amount]. */
export function expectedPaid(orders: readonly Order[]): string[] {
  return orders
    .filter((order) => order.amount >= 0 && order.harm === undefined)
    .map(({ amount, customer, id, time }) => JSON.stringify([id, customer, time, amount]))
    .sort();
}

/** Rows of `customer_minutes` as text, sorted: [customer, minute, orders, total]. */
export function expectedMinutes(orders: readonly Order[]): string[] {
  const windows = new Map<
    string,
    { customer: string; minute: number; orders: number; total: number }
  >();
  for (const order of orders) {
    if (order.amount < 0 || order.harm !== undefined) continue;
    const minute = Math.floor(order.time / 60_000) * 60_000;
    const name = `${minute} ${order.customer}`;
    const window = windows.get(name) ?? { customer: order.customer, minute, orders: 0, total: 0 };
    window.orders += 1;
    window.total += order.amount;
    windows.set(name, window);
  }
  return Array.from(windows.values(), ({ customer, minute, orders: count, total }) =>
    JSON.stringify([customer, minute, count, total]),
  ).sort();
}
