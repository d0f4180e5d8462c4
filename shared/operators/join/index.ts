import { freezeDeep } from '../../model/freeze';
import type { AppliedOperator, OperatorSpec } from '../contract';
import { faultsInDurations } from '../durations';
import { refusedAsLate } from '../late';
import { assertNoPromise } from '../user-answers';

export interface JoinConfig {
  /** How far apart in event time the two values of a pair may be, in milliseconds. */
  readonly withinMs: number;
  /** How far behind the watermark of its source a value may come and still be joined. */
  readonly graceMs: number;
  readonly pair: (left: never, right: never) => unknown;
}

/** A value that waits for others: frozen, for it is given out with each of them. */
type Waiting = readonly unknown[];

const sides = ['left', 'right'] as const;

const spec: OperatorSpec<JoinConfig> = {
  kind: 'join',
  stateVersion: 1,
  shape: () => ({
    inputs: sides.map((name) => ({ name, isKeyed: true })),
    outputs: [{ name: 'pairs' }],
    // By event time: the values of that time, in the order in which they came.
    stores: sides.map((name) => ({ name, kind: 'map' as const })),
    timers: 'event',
  }),
  describe: ({ graceMs, withinMs }) => ({ withinMs, graceMs }),
  faultsIn: ({ graceMs, withinMs }) => faultsInDurations({ within: withinMs, grace: graceMs }),
  openForMs: ({ graceMs, withinMs }) => withinMs + graceMs + 1,
  open: ({ graceMs, pair, withinMs }, context) => {
    const waiting = sides.map((side) => context.map<Waiting>(side));
    const join = pair as (left: unknown, right: unknown) => unknown;
    const keptMs = withinMs + graceMs + 1;
    return {
      process: (port, rows) => {
        const own = waiting[port];
        const others = waiting[1 - port];
        if (own === undefined || others === undefined) return;
        for (let index = 0; index < rows.length; index += 1) {
          context.begin(rows, index);
          const timeMs = rows.times[index] ?? 0;
          // What it would be joined with is gone from then on.
          if (refusedAsLate(context, timeMs + graceMs + 1)) continue;
          const value = rows.values[index];
          freezeDeep(value);
          own.put(timeMs, [...(own.get(timeMs) ?? []), value]);
          context.setTimer(timeMs + keptMs);
          for (const [otherMs, values] of others.entries()) {
            if (Math.abs(Number(otherMs) - timeMs) > withinMs) continue;
            const pairMs = Math.max(Number(otherMs), timeMs);
            for (const other of values) {
              const pairOf = port === 0 ? join(value, other) : join(other, value);
              assertNoPromise(pairOf, 'join');
              context.emit(0, pairOf, pairMs);
            }
          }
        }
      },
      onTimer: ({ timeMs }) => {
        for (const side of waiting) side.delete(timeMs - keptMs);
      },
      // A pair is as old as the later of its values, and given out when that comes.
      hold: () => context.watermarkMs - graceMs,
    };
  },
};

/**
 * Pairs of values of two streams, of one key and not more than `withinMs` apart in event time: each pair once,
 * when its second value comes. What waits goes with event time.
 *
 * Delivery: as its inputs.
 */
export function join(config: JoinConfig): AppliedOperator {
  return { spec, config };
}
