import type { AppendStore, Clock } from '../model/ports';
import { LineJournal } from '../commit-log/line-journal';
import type { Need } from './survey/assess';
import type { SupervisorNote, TendOutcome } from './plan-cycle';

/** What the supervisor decided and what came of it: one line per task that was tended, or told of. */
export interface SupervisorDecision {
  readonly atMs: number;
  readonly cycle: number;
  readonly kind: 'tended' | SupervisorNote['kind'];
  readonly functionName: string;
  readonly partition: string;
  readonly needs: readonly Need[];
  readonly why: string;
  readonly attempt: number;
  readonly worker: string;
  readonly result: TendOutcome['result'] | null;
  readonly error: string | null;
}

const root = 'supervisor/decisions/';
const appendTriesMax = 20;

/** `supervisor/decisions/2026-06-01T07`: an hour's decisions, so that one blob stays small. */
function hourName(atMs: number): string {
  return root + new Date(atMs).toISOString().slice(0, 13);
}

/** Decisions of all supervisors and workers, kept by the hour. */
export class DecisionLog {
  readonly #appends: AppendStore;
  readonly #clock: Clock;

  constructor(world: { readonly appends: AppendStore; readonly clock: Clock }) {
    this.#appends = world.appends;
    this.#clock = world.clock;
  }

  async add(decisions: readonly SupervisorDecision[]): Promise<void> {
    if (decisions.length === 0) return;
    const journal = new LineJournal<SupervisorDecision>(
      this.#appends,
      hourName(this.#clock.nowMs()),
    );
    for (let tries = 1; ; tries += 1) {
      await journal.catchUp();
      if ((await journal.append(decisions)) === 'appended') return;
      if (tries >= appendTriesMax) {
        throw new Error(`${journal.name}: others won ${tries} appends in a row`);
      }
    }
  }

  /** The newest first, at most so many. */
  async newest(limit: number): Promise<readonly SupervisorDecision[]> {
    const found: SupervisorDecision[] = [];
    for (const name of (await this.#appends.list(root)).slice().reverse()) {
      if (found.length >= limit) break;
      const lines = await new LineJournal<SupervisorDecision>(this.#appends, name).catchUp();
      for (const line of lines.slice().reverse()) found.push(line);
    }
    return found.slice(0, limit);
  }

  /** Deletes the hours that ended before a time. Repeatable. */
  async forgetBefore(atMs: number): Promise<void> {
    const kept = hourName(atMs);
    for (const name of await this.#appends.list(root)) {
      if (name < kept) await this.#appends.delete(name);
    }
  }
}
