/** Harms what a job or a worker asks of memory stores: the n-th operation, and what follows it. */

type Method = (...given: unknown[]) => Promise<unknown>;

export interface StoreHarm {
  /** Operations asked for so far. */
  readonly operations: number;
  /** The stores are as they were. */
  end(): void;
}

/**
 * @param harm called before each operation with its number, from 1, and its method and object names;
 *   what it throws is what the store answers with
 */
export function harmStores(
  stores: readonly object[],
  harm: (operation: number, method: string, name: string) => void | Promise<void>,
): StoreHarm {
  const state = { operations: 0 };
  for (const store of stores) {
    const methods = store as Record<string, Method>;
    const names = ['create', 'append', 'readFrom', 'stat', 'list', 'delete', 'put', 'putIfAbsent'];
    for (const method of [...names, 'get']) {
      const original = methods[method];
      if (typeof original !== 'function') continue;
      methods[method] = async (...given: unknown[]) => {
        state.operations += 1;
        const [first] = given;
        const named = first as { readonly name: string };
        await harm(state.operations, method, typeof first === 'string' ? first : named.name);
        return original.apply(store, given);
      };
    }
  }
  return {
    get operations() {
      return state.operations;
    },
    end: () => {
      // The methods stand on the prototypes.
      for (const store of stores) {
        for (const method of Object.keys(store)) {
          const own = store as Record<string, unknown>;
          if (typeof own[method] === 'function') Reflect.deleteProperty(own, method);
        }
      }
    },
  };
}
