export interface TumblingWindow {
  readonly kind: 'tumbling';
  readonly sizeMs: number;
}

/** Windows of one size, side by side, aligned to the epoch: [0, size), [size, 2 size) … */
export function tumbling(sizeMs: number): TumblingWindow {
  return { kind: 'tumbling', sizeMs };
}
