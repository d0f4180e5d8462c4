import { isBalanced, totalsByStage } from '../shared/ledger/ledger-reader';
import { plan } from '../shared/planner';
import type { Topology } from '../shared/dataflow';
import type { Stack } from './stack';
import type { StackStatus } from './status-line';
import { openStore } from './store';
import { readTroubles, stuckFunctions, type Trouble } from './troubles';

/** Logs are looked at with every look; the rest of the store less often. */
const troublesIntervalMs = 3_000;

/** Follows a running stack: its ledger over all topologies, and what keeps it from going on. */
export class StackWatch {
  readonly #stack: Stack;
  readonly #store;
  readonly #ledgers;
  readonly #sources: ReadonlySet<string>;
  readonly #functionNames: ReadonlySet<string>;
  #before: { readonly read: number; readonly atMs: number } | null = null;
  #troubles: readonly Trouble[] = [];
  #troublesAtMs = 0;

  constructor(stack: Stack, topologies: readonly Topology[]) {
    const { stages } = plan(topologies);
    this.#stack = stack;
    this.#store = openStore(stack.azurite.connectionString);
    this.#ledgers = topologies.map(({ name }) => this.#store.ledger(name));
    this.#functionNames = new Set(stages.map(({ functionName }) => functionName));
    this.#sources = new Set(
      stages
        .filter(({ input }) => input.kind === 'source')
        .map(({ name, topology }) => `${topology} ${name}`),
    );
  }

  /** @param sent events that were sent so far */
  async look(
    sent: number,
  ): Promise<{ readonly status: StackStatus; readonly troubles: readonly Trouble[] }> {
    const accounts = (await Promise.all(this.#ledgers.map((ledger) => ledger.refresh()))).flat();
    const nowMs = Date.now();
    if (nowMs - this.#troublesAtMs >= troublesIntervalMs) {
      this.#troublesAtMs = nowMs;
      this.#troubles = await readTroubles(this.#store, this.#functionNames);
    }
    const troubles = [...this.#troubles, ...stuckFunctions(this.#stack.host, nowMs)];
    const totals = Array.from(totalsByStage(accounts).values());
    const sources = accounts.filter(({ path }) =>
      this.#sources.has(`${path.topology} ${path.stage}`),
    );
    const read = sources.reduce((sum, { ledger }) => sum + ledger.read, 0);
    const sinceMs = this.#before === null ? 0 : nowMs - this.#before.atMs;
    const readPerSecond =
      this.#before === null || sinceMs <= 0 ? 0 : ((read - this.#before.read) * 1_000) / sinceMs;
    this.#before = { read, atMs: nowMs };
    return {
      troubles,
      status: {
        ...{ read, readPerSecond },
        isBalanced: accounts.every(({ ledger }) => isBalanced(ledger)),
        deadLettered: totals.reduce((sum, { deadLettered }) => sum + deadLettered, 0),
        late: totals.reduce((sum, { late }) => sum + late, 0),
        lag: Math.max(0, sent - read),
        workers: this.#stack.host.workers.length,
        troubles: troubles.map(({ short }) => short),
      },
    };
  }
}
