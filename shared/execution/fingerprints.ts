import { StreamError } from '../model/errors';
import type { KeyedStore } from '../state/stores';
import type { TaskStores } from '../state/task-stores';
import type { NodeRuntime } from './dataflow';
import type { StageGraph } from './stage-graph';

/**
 * What the operators of a stage were when they made the state that they have. State of another make would
 * give wrong results, and nobody would see it.
 */
export class Fingerprints {
  readonly #made: KeyedStore<string>;
  readonly #nodes: readonly { readonly runtime: NodeRuntime; readonly make: string }[];

  constructor(graph: StageGraph, nodes: readonly NodeRuntime[], state: TaskStores) {
    this.#made = state.store('$made-as');
    this.#nodes = nodes
      .filter(({ stores }) => stores !== null)
      .map((runtime) => {
        const node = graph.nodes[runtime.place];
        const make =
          node === undefined
            ? ''
            : JSON.stringify({
                kind: node.spec.kind,
                stateVersion: node.spec.stateVersion,
                version: node.version,
                ...(node.spec.describe(node.config) as object | null),
              });
        return { runtime, make };
      });
  }

  /** @throws StreamError STREAM_STATE_MISMATCH where an operator holds state of another make */
  assertSame(): void {
    for (const { make, runtime } of this.#nodes) {
      const { name, stores } = runtime;
      const found = this.#made.get(name);
      if (found === undefined || found === make || stores === null || stores.isEmpty) continue;
      throw new StreamError(
        'STREAM_STATE_MISMATCH',
        `operator ${name} holds state that was made as ${found}; the topology now says ${make}. Put it ` +
          `back, or decide what becomes of what is open: millrace decide <topology> new-version gives it up and counts it; ` +
          `millrace drain <topology> under the former build, then millrace begin <topology>, lets it come to its end`,
        { details: { operator: name, found, wanted: make } },
      );
    }
  }

  /** Notes what the state that there is now was made as. */
  note(): void {
    for (const { make, runtime } of this.#nodes) {
      const { name, stores } = runtime;
      if (stores === null || stores.isEmpty || this.#made.get(name) === make) continue;
      this.#made.put(name, make);
    }
  }
}
