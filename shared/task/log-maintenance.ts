import type { StateSnapshot } from '../state/snapshot';
import { retireFormer } from '../commit-log/retire';
import type { TaskLog } from '../commit-log/task-log';
import type { SnapshotBase, SnapshotPart } from '../model/commit';
import type { TaskAddress } from '../model/task-address';
import type { Attempts } from './attempts';
import type { StageServices } from './services';
import type { TaskState } from './task-state';

/** A slice of a snapshot's encoding: what a batch may wait for it. */
const sliceMs = 10;
/** Slices of one look at a task that nobody waits for. */
const slicesWhileQuiet = 100;
/** Generations that a load reads beside its own, at most: then a snapshot is written at once. */
const lagMost = 2;

interface UnderWay extends Omit<SnapshotBase, 'parts'> {
  readonly parts: SnapshotPart[];
  readonly encoding: StateSnapshot;
}

/**
 * Keeps a task's log short: it writes a snapshot of the state between batches, begins a new generation when
 * the one that is written to has reached a limit, and deletes what the state no longer builds on. A roll
 * never waits for a snapshot: the next header names the newest that is whole. See docs/adr/0035.
 *
 * Everything here may stop anywhere and be done again by anyone.
 */
export class LogMaintenance {
  readonly #log: TaskLog;
  readonly #state: TaskState;
  readonly #address: TaskAddress;
  readonly #services: StageServices;
  readonly #attempts: Pick<Attempts, 'isNothingSuspected'>;
  #underWay: UnderWay | null = null;
  /** The newest that this process has written whole. */
  #whole: SnapshotBase | null = null;
  /** The generation in which the last one was begun: each has one. */
  #lastBegunIn = -1;

  constructor(options: {
    readonly log: TaskLog;
    readonly state: TaskState;
    readonly address: TaskAddress;
    readonly services: StageServices;
    readonly attempts: Pick<Attempts, 'isNothingSuspected'>;
  }) {
    this.#log = options.log;
    this.#state = options.state;
    this.#address = options.address;
    this.#services = options.services;
    this.#attempts = options.attempts;
  }

  /**
   * Goes on with the snapshot for one slice, or begins one where it is time. Between commits only: nothing of
   * ours may be half-done.
   */
  async step(): Promise<void> {
    const { clock } = this.#services;
    this.#underWay ??= this.#begin();
    if (this.#underWay === null) return;
    const { commit, encoding, generation, parts, position } = this.#underWay;
    if (commit < (this.#log.base?.commit ?? 0)) {
      // Others have written a newer one.
      this.#giveUp();
      return;
    }
    const startedAtMs = clock.nowMs();
    const part = encoding.next(() => clock.nowMs() - startedAtMs >= sliceMs);
    try {
      if (part !== null) parts.push(await this.#log.putPart(commit, parts.length, part));
    } catch (error) {
      // The part is lost to this process: a snapshot is begun again.
      this.#giveUp();
      this.#lastBegunIn = -1;
      throw error;
    }
    if (!encoding.isDone) return;
    this.#underWay = null;
    this.#whole = { commit, generation, position, parts };
  }

  /** As many slices as it takes, within reason: no batch waits. */
  async stepWhileQuiet(): Promise<void> {
    for (let slices = 0; slices < slicesWhileQuiet; slices += 1) {
      await this.step();
      if (this.#underWay === null) return;
      await this.#services.sleep(0);
    }
  }

  #giveUp(): void {
    this.#underWay?.encoding.end();
    this.#underWay = null;
  }

  /** Null: it is not time for one. */
  #begin(): UnderWay | null {
    const { base, generation, position } = this.#log;
    const { commit } = this.#state;
    if (commit === 0 || this.#lastBegunIn === generation) return null;
    const isLagging = generation - (base?.generation ?? 0) >= lagMost;
    if (!isLagging && !this.#log.isHalfFull()) return null;
    // A snapshot holds no attempts: deaths would be forgotten.
    if (!this.#attempts.isNothingSuspected()) return null;
    this.#lastBegunIn = generation;
    // What is owed must be read again by whoever loads the task: it is in no snapshot.
    const from = this.#state.oldestOwed() ?? { generation, position };
    return { commit, ...from, parts: [], encoding: this.#state.keyed.beginSnapshot() };
  }

  /** Begins a new generation. `conflict`: somebody appended first. */
  async roll(): Promise<'rolled' | 'conflict'> {
    const outcome = await this.#log.roll(this.#state.summary, this.#whole);
    if (outcome === 'conflict') return 'conflict';
    this.#whole = null;
    await this.#retire();
    return 'rolled';
  }

  /** Deletes what is past its retention, and snapshots that a newer one has replaced. */
  async #retire(): Promise<void> {
    const { clock, limits } = this.#services;
    const { base } = this.#log;
    if (base === null) return;
    const age = { nowMs: clock.nowMs(), retentionMs: limits.logRetentionMs };
    await retireFormer(this.#services, this.#address, base, age);
  }
}
