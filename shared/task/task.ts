import type { Bequest } from '../commit-log/task-log-options';
import type { Cursor } from '../model/commit';
import type { HubMessage } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import type { RestFacts } from '../time/claims';
import { CommitLoop } from './commit-loop';
import type { StageServices } from './services';
import { DriftGuard } from './source-drift';
import { settleLetters, type SettledLetter, type SettleRequest } from './settle-letters';
import { TaskHold, type TaskOptions } from './task-hold';
import type { TaskState } from './task-state';
import { Upkeep, type TendRequest } from './upkeep';

export interface BatchReport {
  readonly committedEvents: number;
  readonly commits: number;
  readonly duplicateMessages: number;
  /** False when the deadline came first: the rest is read from the hub with the next batch. */
  readonly isComplete: boolean;
}

/**
 * One stage × one hub partition: the unit of order, state, commit and recovery. Any number of
 * processes may hold the same task at once: the log's append position decides whose commit counts.
 *
 * Delivery: each input event takes effect exactly once in state, tables and ledger; exchange
 * messages are sent at least once and admitted once by their ordinals.
 */
export class Task {
  readonly address: TaskAddress;
  readonly #hold: TaskHold;
  readonly #options: TaskOptions;
  readonly #services: StageServices;
  readonly #loop: CommitLoop;
  readonly #upkeep: Upkeep;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: TaskOptions, hold: TaskHold) {
    this.#hold = hold;
    this.#options = options;
    this.#services = options.services;
    this.address = options.address;
    const drift = new DriftGuard(options);
    this.#loop = new CommitLoop(options, hold, drift);
    this.#upkeep = new Upkeep(options, hold, { loop: this.#loop, drift });
  }

  /** Loads the task from its log. */
  static async open(options: TaskOptions): Promise<Task> {
    return new Task(options, await TaskHold.open(options));
  }

  get cursor(): Cursor {
    return this.#hold.cursor;
  }

  get state(): TaskState {
    return this.#hold.state;
  }

  /** The birth of its log; 0: it has not committed yet. */
  get epoch(): number {
    return this.#hold.state.epoch ?? 0;
  }

  get watermarkMs(): number | null {
    return this.#hold.program.watermarkMs;
  }

  /**
   * Takes in a batch: drops what is committed, reads what is missing before it from the hub, and
   * commits until all of it is in the log or the deadline comes.
   */
  async process(messages: readonly HubMessage[], deadlineMs: number): Promise<BatchReport> {
    return this.#exclusively(async () => {
      const before = { events: this.#hold.state.ledger.read, commit: this.#hold.state.commit };
      const duplicateMessages = messages.length - this.#loop.nextRange().fresh(messages).length;
      if (messages.length > 0) this.#upkeep.inputCame();
      const isComplete = await this.#loop.commitAll(messages, deadlineMs);
      return {
        committedEvents: this.#hold.state.ledger.read - before.events,
        commits: this.#hold.state.commit - before.commit,
        ...{ duplicateMessages, isComplete },
      };
    });
  }

  /**
   * What time asks for: due flushes, idleness of a source (a journalled tick), and input that
   * waits although nobody commits it. Repeatable by anyone at any time. Returns true when another
   * process has been committing to this task.
   */
  async tend(request: TendRequest): Promise<boolean> {
    return this.#exclusively(() => this.#upkeep.tend(request));
  }

  /**
   * Whether this task may be claimed to be idle: what others have committed is taken in first. Null: it has
   * something to do, or is not quiet.
   */
  async restFacts(): Promise<RestFacts | null> {
    return this.#exclusively(async () => {
      await this.#hold.catchUp();
      const isQuiet = (await this.#upkeep.quietMs()) >= this.#services.limits.claimEveryMs / 2;
      return isQuiet ? this.#hold.restFacts() : null;
    });
  }

  /** Redrives or discards dead letters of this task; see settle-letters.ts. */
  async settleLetters(request: SettleRequest): Promise<readonly SettledLetter[]> {
    return this.#exclusively(() =>
      settleLetters(this.#hold, { ...request, plan: this.#options.stage.plan }, this.#services),
    );
  }

  /** This process no longer works on the task: others may have its memory. */
  readonly letGo = (): void => this.#hold.letGo();

  /** Outputs leave and the log is left ready: for a drain or before the task is let go. */
  async close(): Promise<void> {
    await this.#exclusively(() => this.#hold.delivery.sendOutbox());
  }

  /** Its hub was promoted and its life has ended: another one goes on with what it holds. */
  get isEndedByPromotion(): boolean {
    return this.#hold.log.isEndedByPromotion;
  }

  /**
   * Ends this life's log and hands its state on; outputs leave first. May be repeated.
   * @param incarnation of the heir: on the same hub it goes on where that, promoted, has what was not read
   */
  async bequeath(incarnation: string): Promise<Bequest | null> {
    return this.#exclusively(() => this.#upkeep.bequeath(incarnation));
  }

  /**
   * Ends the log of a partition that is no more: its windows close, its outputs leave, and consumers
   * need not wait for it again. May be repeated.
   */
  async end(): Promise<void> {
    await this.#exclusively(() => this.#upkeep.end());
  }

  /**
   * One at a time: the host's batch, a tend, a close. What one of them gathered and could not commit
   * is not for the next, which may be waiting already.
   */
  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const run = async (): Promise<Result> => {
      try {
        return await work();
      } catch (error) {
        this.#hold.rollback();
        throw error;
      }
    };
    const turn = this.#turn.then(run, run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
