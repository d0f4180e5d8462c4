import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { connectionOf, settingsOf } from './bindings';
import { invoke, triggerOf, type HostWorld } from './invoke';
import { withRetry } from './retry';
import { parseSchedule, type Schedule } from './schedule';
import { countedFromMs, dueOnTaking, statusOfChangedSchedule, type Due } from './timer-due';
import { neverRan, TimerBlobs, timerInput, type TimerStatus } from './timer-status';
import { jsonData } from './typed-data';

const leaseRenewalMs = 5_000;
const retryAfterErrorMs = 1_000;

/**
 * A timer: on one worker at a time, never overlapping, whatever its function does. A time is fired at
 * least once: who takes over from a dead worker makes up for it.
 */
export class TimerTrigger {
  readonly #app: LoadedApp;
  readonly #target: RegisteredFunction;
  readonly #world: HostWorld;
  readonly #schedule: Schedule;
  readonly #blobs: TimerBlobs;
  readonly #isRunOnStartup: boolean;
  readonly #isMonitored: boolean;
  readonly #hostStartedAtMs: number;
  /** Ends the wait for the next time. */
  #waiting = new AbortController();
  /** Ends retries too. */
  #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #status: TimerStatus | null = null;
  #isStarted = false;

  constructor(options: {
    readonly app: LoadedApp;
    readonly target: RegisteredFunction;
    readonly settings: Readonly<Record<string, string>>;
    readonly world: HostWorld;
    readonly hostId: string;
    readonly hostStartedAtMs: number;
  }) {
    const { settings, target } = options;
    this.#app = options.app;
    this.#target = target;
    this.#world = options.world;
    this.#hostStartedAtMs = options.hostStartedAtMs;
    const trigger = triggerOf(target)?.options ?? {};
    this.#schedule = parseSchedule(
      target.name,
      settingsOf(target, trigger, settings).setting('schedule'),
      settings,
    );
    this.#isRunOnStartup = trigger['runOnStartup'] === true;
    this.#isMonitored = trigger['useMonitor'] !== false && !this.#schedule.isFrequent;
    const storage = connectionOf(target, { connection: 'AzureWebJobsStorage' }, settings);
    this.#blobs = new TimerBlobs(storage, options.hostId, target.name);
  }

  /** Begins, also again after a drain. */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    await this.#running;
    this.#waiting = new AbortController();
    this.#stopping = new AbortController();
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    let due: Due | null = null;
    while (!this.#waiting.signal.aborted) {
      try {
        if (!(await this.#blobs.hold())) {
          due = null;
          await this.#wait(leaseRenewalMs);
          continue;
        }
        due ??= await this.#take();
        const waitMs = due.atMs - Date.now();
        if (waitMs > 0) {
          await this.#wait(Math.min(waitMs, leaseRenewalMs));
          continue;
        }
        const firedAtMs = Date.now();
        await this.#fire(due);
        const fromMs = countedFromMs(due, firedAtMs);
        due = null;
        due = await this.#passed(fromMs);
      } catch (error) {
        this.#warn(error);
        await this.#wait(retryAfterErrorMs);
      }
    }
    await this.#blobs.release().catch((error: unknown) => this.#warn(error));
  }

  /** The lock is this worker's now: when is the timer due? */
  async #take(): Promise<Due> {
    const nowMs = Date.now();
    const stored = this.#isMonitored ? await this.#blobs.readStatus() : null;
    const changed = stored && statusOfChangedSchedule(stored, this.#schedule, nowMs);
    if (changed !== null) await this.#blobs.writeStatus(changed);
    const status = changed ?? stored;
    const due = dueOnTaking({
      ...{ nowMs, status },
      schedule: this.#schedule,
      note: await this.#blobs.readNote(),
      isRunOnStartup: this.#isRunOnStartup,
      hostStartedAtMs: this.#hostStartedAtMs,
    });
    this.#status = status ?? { ...this.#statusAt(nowMs), Last: neverRan, LastUpdated: neverRan };
    if (this.#isMonitored && status === null) {
      await this.#blobs.writeStatus({ ...this.#statusAt(nowMs), Last: neverRan });
    }
    // A run on startup that nobody finished is nobody's: noted only when it is over.
    if (due.unscheduled !== 'RunOnStartup') await this.#note(due.atMs);
    return due;
  }

  /** A run is over: writes down when the next one is. */
  async #passed(fromMs: number): Promise<Due> {
    const status = this.#statusAt(fromMs);
    this.#status = status;
    if (this.#isMonitored) await this.#blobs.writeStatus(status);
    const atMs = Date.parse(status.Next);
    await this.#note(atMs);
    return { atMs, unscheduled: null };
  }

  async #fire(due: Due): Promise<void> {
    const name = triggerOf(this.#target)?.name ?? '';
    const { isOfClock } = this.#schedule;
    const data = jsonData(
      timerInput({
        status: this.#isMonitored ? this.#status : null,
        isPastDue: due.unscheduled === 'IsPastDue',
        isOfClock,
      }),
    );
    const details = [`UnscheduledInvocationReason: ${due.unscheduled}`];
    if (due.unscheduled === 'IsPastDue' && this.#isMonitored) {
      details.push(`OriginalSchedule: ${this.#status?.Next}`);
    }
    const renewing = setInterval(
      () => void this.#blobs.hold().catch((error: unknown) => this.#warn(error)),
      leaseRenewalMs,
    );
    try {
      await withRetry(
        this.#target,
        (retryContext) =>
          invoke(
            this.#app,
            this.#target,
            {
              inputData: [{ name, data }],
              triggerMetadata: {},
              ...(retryContext && { retryContext }),
            },
            this.#world,
            `Timer fired at ${new Date().toISOString()}`,
            due.unscheduled === null ? {} : { details: details.join(', ') },
          ),
        this.#stopping.signal,
      );
    } catch (error) {
      // Logged by the invocation: a failing function does not stop its schedule.
      if (!(error instanceof Error)) throw error;
    } finally {
      clearInterval(renewing);
    }
  }

  #statusAt(ranAtMs: number): TimerStatus {
    const ranAt = new Date(ranAtMs);
    return {
      Last: ranAt.toISOString(),
      Next: this.#schedule.next(ranAt).toISOString(),
      LastUpdated: ranAt.toISOString(),
    };
  }

  #note(dueAtMs: number): Promise<void> {
    return this.#blobs.writeNote({ dueAtMs, hostStartedAtMs: this.#hostStartedAtMs });
  }

  #warn(error: unknown): void {
    this.#world.log('warning', `Function.${this.#target.name}`, `timer: ${String(error)}`);
  }

  async #wait(milliseconds: number): Promise<void> {
    const { signal } = this.#waiting;
    await sleep(milliseconds, null, { signal }).catch(() => undefined);
  }

  /** Lets a run that has begun end, with its retries, and gives the timer to another worker. */
  async drain(): Promise<void> {
    this.#isStarted = false;
    this.#waiting.abort();
    await this.#running;
  }

  /** As drain, but without further retries. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.drain();
  }
}
