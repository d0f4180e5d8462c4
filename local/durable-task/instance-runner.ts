/**
 * Runs one instance of this host: episode after episode, never two at once. The order of an
 * episode: run, commit, deliver, show the status, forget the messages. A process may die anywhere
 * between: what is committed is delivered again, what is not is run again.
 */
import { HistoryConflict, type Commit, type Written } from './history-store';
import { entityIdOf } from './names';
import { isDueAtOnce } from './execution';
import { runEntity } from './entity-episode';
import { runOrchestration } from './orchestration-episode';
import { OpenTasks } from './open-tasks';
import { StatusRow } from './status-row';
import type { HubWorld, Waiting } from './world';

/** Messages of one episode: more wait for the next. */
const messagesPerEpisode = 100;
const retryDelayFirstMs = 100;
const retryDelayLastMs = 10_000;

export class InstanceRunner {
  readonly instanceId: string;
  readonly #world: HubWorld;
  readonly #open: OpenTasks;
  readonly #status: StatusRow;
  #waiting: Waiting[] = [];
  /** Messages that came before the start that they are for. */
  #early: Waiting[] = [];
  /** Rows that wait, are being applied or are being removed. */
  readonly #knownRows = new Set<string>();
  /** Undefined: not read; null: there is no history. */
  #written: Written | null | undefined;
  #isRunning = false;
  #isStopped = false;
  #isDue = false;
  #failures = 0;
  #retry: NodeJS.Timeout | null = null;

  constructor(instanceId: string, world: HubWorld) {
    this.instanceId = instanceId;
    this.#world = world;
    this.#status = new StatusRow(world.store.instances);
    this.#open = new OpenTasks({
      instanceId,
      pool: world.pool,
      answered: (message) => this.enqueue({ message, stored: null }),
    });
  }

  /** Nothing to do and nothing to remember. */
  get isIdle(): boolean {
    return !this.#isRunning && this.#waiting.length === 0 && !this.#isDue && this.#open.isEmpty;
  }

  /** The row waits here already, or is being applied. */
  knows(rowKey: string): boolean {
    return this.#knownRows.has(rowKey);
  }

  enqueue(waiting: Waiting): void {
    if (waiting.stored !== null) {
      if (this.#knownRows.has(waiting.stored.rowKey)) return;
      this.#knownRows.add(waiting.stored.rowKey);
    }
    this.#waiting.push(waiting);
    this.#start();
  }

  /** Takes up what the history leaves to do. */
  wake(): void {
    this.#isDue = true;
    this.#start();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    this.#early = [];
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#open.stop();
  }

  #start(): void {
    if (this.#isRunning || this.#isStopped || this.#retry !== null) return;
    this.#isRunning = true;
    void this.#run().finally(() => {
      this.#isRunning = false;
      if (this.#waiting.length > 0 || this.#isDue) this.#start();
    });
  }

  async #run(): Promise<void> {
    let taken: Waiting[] = [];
    try {
      while (!this.#isStopped && (this.#waiting.length > 0 || this.#isDue)) {
        this.#isDue = false;
        await this.#read();
        taken = [...this.#early.splice(0), ...this.#waiting.splice(0, messagesPerEpisode)];
        await this.#episode(taken);
        taken = [];
        this.#failures = 0;
      }
    } catch (error) {
      this.#again(taken, error);
    }
  }

  /** Reads the history when it is not at hand, and ends what an earlier process left half-done. */
  async #read(): Promise<void> {
    if (this.#written !== undefined) return;
    const written = await this.#world.store.history.load(this.instanceId);
    this.#written = written;
    if (written === null) return;
    await this.#deliver();
    await this.#status.show(written);
    this.#open.follow(written);
    if (isDueAtOnce(written.events)) this.#isDue = true;
  }

  async #episode(taken: readonly Waiting[]): Promise<void> {
    const messages = taken.map(({ message }) => message);
    const isEntity = entityIdOf(this.instanceId) !== null;
    const common = {
      world: this.#world,
      instanceId: this.instanceId,
      written: this.#written ?? null,
      messages,
    };
    const result = await (isEntity ? runEntity(common) : runOrchestration(common));
    if (result !== null) {
      this.#world.point('before-commit');
      await this.#commit(result.commit);
      this.#world.point('after-commit');
      await this.#deliver();
      this.#world.point('after-delivery');
      if (this.#written) await this.#status.show(this.#written);
      if (result.isDueAtOnce) this.#isDue = true;
      if (this.#written) this.#open.follow(this.#written);
    } else if (!isEntity && (await this.#isStarting())) {
      this.#early.push(...taken);
      return;
    }
    this.#world.point('before-forgetting');
    await this.#forget(taken);
  }

  /** The row says that a start is on its way. */
  async #isStarting(): Promise<boolean> {
    const row = await this.#world.store.instances.get(this.instanceId);
    return row?.runtimeStatus === 'Pending' && row.executionId !== this.#written?.executionId;
  }

  async #commit(commit: Commit): Promise<void> {
    if (this.#isStopped || !this.#world.isOwn(this.instanceId)) {
      throw new HistoryConflict(`${this.instanceId} is no longer run here`);
    }
    this.#written = await this.#world.store.history.commit(
      this.instanceId,
      this.#written ?? null,
      commit,
    );
  }

  async #deliver(): Promise<void> {
    const written = this.#written;
    if (!written || written.outbox.length === 0) return;
    for (const message of written.outbox) {
      await this.#world.deliver(message);
      this.#world.point('in-delivery');
    }
    this.#written = await this.#world.store.history.markDelivered(written);
  }

  async #forget(taken: readonly Waiting[]): Promise<void> {
    const rows = taken.flatMap(({ stored }) => (stored === null ? [] : [stored]));
    if (rows.length === 0) return;
    await this.#world.store.inbox.remove(this.instanceId, rows);
    for (const { rowKey } of rows) this.#knownRows.delete(rowKey);
  }

  /** The messages go back to where they were; the history is read anew. */
  #again(taken: readonly Waiting[], error: unknown): void {
    this.#written = undefined;
    if (this.#isStopped) return;
    this.#waiting = [...taken, ...this.#waiting];
    this.#failures += 1;
    const delayMs = Math.min(retryDelayLastMs, retryDelayFirstMs * 2 ** (this.#failures - 1));
    this.#world.log(
      error instanceof HistoryConflict ? 'information' : 'warning',
      `${this.instanceId}: the episode is run again in ${delayMs} ms: ${String(error)}`,
    );
    this.#isDue = true;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#start();
    }, delayMs);
  }
}
