/** A sequence number in either form that Node workers give it. Shares no code with the engine. */
export type Long = number | { readonly low: number; readonly high: number };

export function toNumber(value: Long): number {
  if (typeof value === 'number') return value;
  return Number((BigInt(value.high) << 32n) | BigInt.asUintN(32, BigInt(value.low)));
}
