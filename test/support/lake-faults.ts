import { StreamError } from '../../shared/model/errors';
import type { ObjectStore } from '../../shared/model/ports';

export type StoreFault = 'refused' | 'lost-response' | 'slow';

/**
 * A store whose calls go wrong as the test says: refused before anything happened (500, 503), done
 * with the answer lost (a time-out), or late.
 */
export class FaultyObjects implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #decide: (operation: string, name: string) => StoreFault | undefined;

  constructor(
    inner: ObjectStore,
    decide: (operation: string, name: string) => StoreFault | undefined,
  ) {
    this.#inner = inner;
    this.#decide = decide;
  }

  put(name: string, bytes: Uint8Array): Promise<void> {
    return this.#run('put', name, () => this.#inner.put(name, bytes));
  }

  putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return this.#run('putIfAbsent', name, () => this.#inner.putIfAbsent(name, bytes));
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#run('get', name, () => this.#inner.get(name));
  }

  list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    return this.#run('list', prefix, () => this.#inner.list(prefix));
  }

  delete(name: string): Promise<void> {
    return this.#run('delete', name, () => this.#inner.delete(name));
  }

  async #run<Result>(
    operation: string,
    name: string,
    call: () => Promise<Result>,
  ): Promise<Result> {
    const fault = this.#decide(operation, name);
    if (fault === 'refused') throw unavailable(operation, name);
    if (fault === 'slow') await lateTurns();
    const result = await call();
    if (fault === 'lost-response') throw unavailable(operation, name);
    return result;
  }
}

/** Lets everybody else go first, many times. */
async function lateTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function unavailable(operation: string, name: string): StreamError {
  return new StreamError('STREAM_STORE_UNAVAILABLE', `${operation} ${name} failed by the test`);
}
