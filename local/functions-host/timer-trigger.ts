import { Cron } from 'croner';
import type { BlobLeaseClient } from '@azure/storage-blob';
import { ContainerClient } from '@azure/storage-blob';
import type { LoadedApp, RegisteredFunction } from './app-loader';
import { invoke, triggerOf, type HostWorld } from './invoke';
import { parseTimeSpan, resolveSettings } from './settings';

/** The lease that makes one worker run the timer: short, so that a dead worker's timer moves on. */
const leaseSeconds = 15;
const leaseRenewalMs = 5_000;

/** A timer: never overlapping, on one worker at a time, whatever its function does. */
export class TimerTrigger {
  readonly #app: LoadedApp;
  readonly #target: RegisteredFunction;
  readonly #world: HostWorld;
  readonly #schedule: { next(after: Date): Date };
  readonly #lease: TimerLease;
  readonly #isRunOnStartup: boolean;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();
  #wake: NodeJS.Timeout | null = null;

  constructor(options: {
    app: LoadedApp;
    target: RegisteredFunction;
    settings: Readonly<Record<string, string>>;
    world: HostWorld;
  }) {
    this.#app = options.app;
    this.#target = options.target;
    this.#world = options.world;
    const trigger = triggerOf(options.target)?.options ?? {};
    const text = resolveSettings(String(trigger['schedule']), options.settings);
    this.#schedule = scheduleOf(text);
    this.#isRunOnStartup = trigger['runOnStartup'] === true;
    this.#lease = new TimerLease(
      options.settings['AzureWebJobsStorage'] ?? '',
      options.target.name,
    );
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    let isDueNow = this.#isRunOnStartup;
    while (!this.#isStopped) {
      const isHolder = await this.#lease.hold().catch((error: unknown) => {
        this.#world.log(
          'warning',
          `Function.${this.#target.name}`,
          `timer lease: ${String(error)}`,
        );
        return false;
      });
      const next = this.#schedule.next(new Date());
      if (isHolder && isDueNow) await this.#fire(next);
      const waitMs = Math.max(0, next.getTime() - Date.now());
      isDueNow = waitMs <= leaseRenewalMs;
      await this.#sleep(Math.min(waitMs, leaseRenewalMs));
    }
    await this.#lease.release();
  }

  async #fire(next: Date): Promise<void> {
    const [[name] = ['timer']] = Object.entries(this.#target.bindings);
    const timer = {
      Schedule: { AdjustForDST: true },
      ScheduleStatus: {
        Last: new Date().toISOString(),
        Next: next.toISOString(),
        LastUpdated: new Date().toISOString(),
      },
      IsPastDue: false,
    };
    const renewing = setInterval(() => void this.#lease.hold().catch(() => false), leaseRenewalMs);
    try {
      await invoke(
        this.#app,
        this.#target,
        { inputData: [{ name, data: { json: JSON.stringify(timer) } }], triggerMetadata: {} },
        this.#world,
        `Timer fired at ${new Date().toISOString()}`,
      );
    } catch (error) {
      // Logged by the invocation: a failing function does not stop its schedule.
      if (!(error instanceof Error)) throw error;
    } finally {
      clearInterval(renewing);
    }
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = setTimeout(resolve, milliseconds);
      if (this.#isStopped) resolve();
      this.#stop = resolve;
    });
  }

  #stop: () => void = () => undefined;

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#wake !== null) clearTimeout(this.#wake);
    this.#stop();
    await this.#running;
  }
}

class TimerLease {
  readonly #container: ContainerClient;
  readonly #blobName: string;
  #lease: BlobLeaseClient | null = null;
  #isReady = false;

  constructor(connectionString: string, functionName: string) {
    this.#container = new ContainerClient(connectionString, 'azure-webjobs-hosts');
    this.#blobName = `locks/local/Host.Functions.${functionName}.Listener`;
  }

  /** True when this process holds the lease, newly or still. */
  async hold(): Promise<boolean> {
    const blob = this.#container.getBlockBlobClient(this.#blobName);
    if (!this.#isReady) {
      await this.#container.createIfNotExists();
      if (!(await blob.exists())) {
        await blob.upload('', 0, { conditions: { ifNoneMatch: '*' } }).catch(ignoring(409));
      }
      this.#isReady = true;
    }
    if (this.#lease !== null) {
      try {
        await this.#lease.renewLease();
        return true;
      } catch (error) {
        ignoring(409, 412)(error);
        this.#lease = null;
      }
    }
    const lease = blob.getBlobLeaseClient();
    try {
      await lease.acquireLease(leaseSeconds);
      this.#lease = lease;
      return true;
    } catch (error) {
      ignoring(409)(error);
      return false;
    }
  }

  async release(): Promise<void> {
    await this.#lease?.releaseLease().catch(ignoring(409, 412));
  }
}

/** Somebody else was first: no error here. Others are thrown on. */
function ignoring(...statuses: number[]): (error: unknown) => undefined {
  return (error) => {
    if (statuses.includes((error as { statusCode?: number }).statusCode ?? 0)) return undefined;
    throw error;
  };
}

/** NCRONTAB with six fields (five: seconds are 0), or a time span. */
function scheduleOf(text: string): { next(after: Date): Date } {
  const spanMs = parseTimeSpan(text);
  if (spanMs !== null && spanMs > 0) {
    return { next: (after) => new Date(after.getTime() + spanMs) };
  }
  const fields = text.trim().split(/\s+/).length === 5 ? `0 ${text}` : text;
  const cron = new Cron(fields, { mode: '6-part', domAndDow: true });
  return {
    next: (after) => {
      const next = cron.nextRun(after);
      if (next === null) throw new Error(`the schedule ${text} never comes again`);
      return next;
    },
  };
}
