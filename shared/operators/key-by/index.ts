import { assertPlain } from '../../model/plain-value';
import { canonicalKey } from '../../model/key';
import type { AppliedOperator, OperatorSpec } from '../contract';

interface Config {
  readonly key: (value: unknown) => unknown;
  /** An exchange behind it looks at each value anyway. */
  readonly isExchange: boolean;
}

/** Texts whose canonical form is remembered: most streams have few keys at a time. */
const rememberedMax = 10_000;

/** `canonicalKey`, which gives the same text object for the same key where it can. */
class CanonicalTexts {
  #known = new Map<string, string>();

  of(key: unknown): string {
    if (typeof key !== 'string') return canonicalKey(key);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const canonical = canonicalKey(key);
    if (this.#known.size >= rememberedMax) this.#known = new Map();
    this.#known.set(key, canonical);
    return canonical;
  }
}

const spec: OperatorSpec<Config> = {
  kind: 'keyBy',
  stateVersion: 1,
  shape: () => ({
    inputs: [{ name: 'in' }],
    outputs: [{ name: 'out', isKeyed: true }],
    stores: [],
    timers: 'none',
  }),
  describe: () => null,
  open: ({ isExchange, key }, context) => {
    const texts = new CanonicalTexts();
    return {
      process: (_port, rows) => {
        const { length, marks, origins, times, values } = rows;
        const keys = new Array<string>(length);
        for (let index = 0; index < length; index += 1) {
          const value = values[index];
          // What cannot travel is refused where it does not have to, too.
          if (!isExchange) assertPlain(value);
          keys[index] = texts.of(key(value));
        }
        context.pass(0, { length, values, keys, times, marks, origins });
      },
    };
  },
};

/** Sets the key of each value. Delivery: as its input; what is no key dead-letters the event. */
export function keyBy(key: (value: never) => unknown, isExchange: boolean): AppliedOperator {
  const config: Config = { key: key as Config['key'], isExchange };
  return { spec, config };
}
