import { canonicalKey } from '../../model/key';
import type { OperatorSpec, TypedOperator } from '../contract';
import { faultsInDurations } from '../durations';
import { refusedAsLate } from '../late';

export interface DedupeOptions<Value> {
  /** How far apart in event time two values may be that are one, in milliseconds. */
  readonly within: number;
  /** What tells values of a key apart. Absent: the key does. */
  readonly by?: (value: Value) => unknown;
  /** How far behind the watermark of its source a value may come and still be judged. Default: as `within`. */
  readonly grace?: number;
}

interface Config {
  readonly withinMs: number;
  readonly graceMs: number;
  readonly by: ((value: unknown) => unknown) | null;
}

/** What a value is told apart by where the key alone does it. */
const keyAlone = '';

const spec: OperatorSpec<Config> = {
  kind: 'dedupe',
  stateVersion: 1,
  shape: () => ({
    inputs: [{ name: 'in', isKeyed: true }],
    outputs: [{ name: 'out' }],
    // By canonical text of what tells values apart: the times at which such a value was let through.
    stores: [
      { name: 'seen', kind: 'map' },
      // By the time of the timer: what goes then.
      { name: 'forget', kind: 'map' },
    ],
    timers: 'event',
    isMemoryOnly: true,
  }),
  describe: ({ by, graceMs, withinMs }) => ({ withinMs, graceMs, isBySelector: by !== null }),
  faultsIn: ({ graceMs, withinMs }) => [
    ...faultsInDurations({ within: withinMs }, 1),
    ...faultsInDurations({ grace: graceMs }),
  ],
  openForMs: ({ graceMs, withinMs }) => withinMs + graceMs + 1,
  open: ({ by, graceMs, withinMs }, context) => {
    const seen = context.map<readonly number[]>('seen');
    const forget = context.map<readonly string[]>('forget');
    const keptMs = withinMs + graceMs + 1;
    return {
      process: (_port, rows) => {
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          const timeMs = rows.times[index] ?? 0;
          // What it might be a double of is forgotten from then on.
          if (refusedAsLate(context, timeMs + graceMs + 1)) continue;
          const value = rows.values[index];
          const name = by === null ? keyAlone : canonicalKey(by(value));
          const times = seen.get(name) ?? [];
          if (times.some((other) => Math.abs(other - timeMs) < withinMs)) {
            context.count('doubles');
            continue;
          }
          seen.put(name, [...times, timeMs]);
          const goesAtMs = timeMs + keptMs;
          forget.put(goesAtMs, [...(forget.get(goesAtMs) ?? []), name]);
          context.setTimer(goesAtMs);
          context.emit(0, value);
        }
      },
      onTimer: ({ timeMs }) => {
        const goneMs = timeMs - keptMs;
        for (const name of forget.get(timeMs) ?? []) {
          const left = (seen.get(name) ?? []).filter((other) => other !== goneMs);
          if (left.length === 0) seen.delete(name);
          else seen.put(name, left);
        }
        forget.delete(timeMs);
      },
      // What it lets through it gives out at once: its timers only forget.
      hold: () => Infinity,
    };
  },
};

/**
 * Lets the first of values through that are one: of one key (and one `by`), less than `within` apart in event
 * time. The others are counted (`doubles`) and end as filtered. It forgets by event time, so that what it lets
 * through does not depend on where batches are cut.
 */
export function dedupe<Value>(options: DedupeOptions<Value>): TypedOperator<Value, Value> {
  const { by, grace, within } = options;
  const config: Config = {
    withinMs: within,
    graceMs: grace ?? within,
    by: by === undefined ? null : (value) => by(value as Value),
  };
  return { spec, config };
}
