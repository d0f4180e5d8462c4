/** Bytes of the fixed widths 0x4… to 0x9… (AMQP 1.0 part 1 §1.2). */
const fixedBytes = [0, 1, 2, 4, 8, 16];

/**
 * Where the value ends whose constructor is at `at`, by the category of the constructor alone. Throws
 * when that is past `end`.
 */
export function valueEnd(bytes: Buffer, at: number, end: number): number {
  const constructor = bytes[at] ?? 0;
  // A described value: the descriptor is a value, and another follows.
  if (constructor === 0 && at < end) return valueEnd(bytes, valueEnd(bytes, at + 1, end), end);
  const category = constructor >>> 4;
  let next: number;
  if (category >= 0x4 && category <= 0x9) next = at + 1 + (fixedBytes[category - 4] ?? 0);
  else if (category === 0xa || category === 0xc || category === 0xe) {
    next = at + 2 + (bytes[at + 1] ?? 0);
  } else if (category === 0xb || category === 0xd || category === 0xf) {
    next = at + 5 + bytes.readUInt32BE(at + 1);
  } else next = Infinity;
  if (next > end) throw new Error(`malformed AMQP value at byte ${at} of ${end}`);
  return next;
}
