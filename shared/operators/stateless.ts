import type { OperatorShape } from './contract';

/** The shape of an operator that takes rows in, gives rows out and remembers nothing. */
export function statelessShape(): OperatorShape {
  return { inputs: [{ name: 'in' }], outputs: [{ name: 'out' }], stores: [], timers: 'none' };
}
