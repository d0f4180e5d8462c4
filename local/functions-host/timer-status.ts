import { ContainerClient, type BlobLeaseClient, type RestError } from '@azure/storage-blob';

/** The lease that makes one worker run a timer: as short as the service allows. */
const leaseSeconds = 15;

/** When a timer ran and will run, as ISO texts; `Last` of the year 1: never. */
export interface TimerStatus {
  readonly Last: string;
  readonly Next: string;
  readonly LastUpdated: string;
}

export const neverRan = '0001-01-01T00:00:00';

/** What the function gets. Without monitoring there is no status. */
export function timerInput(timer: {
  readonly status: TimerStatus | null;
  readonly isPastDue: boolean;
  readonly isOfClock: boolean;
}): Record<string, unknown> {
  return {
    Schedule: { AdjustForDST: timer.isOfClock },
    ScheduleStatus: timer.status,
    IsPastDue: timer.isPastDue,
  };
}

/** What the holder of a timer's lock leaves for the one after it. */
export interface TimerNote {
  /** The time that must be fired next, in milliseconds. */
  readonly dueAtMs: number;
  /** The host start for which `runOnStartup` was seen to. */
  readonly hostStartedAtMs: number;
}

/**
 * A timer's blobs in `azure-webjobs-hosts`: the lock with its lease and a note in its metadata, and
 * the status that the host keeps of monitored timers.
 */
export class TimerBlobs {
  readonly #container: ContainerClient;
  readonly #lockName: string;
  readonly #statusName: string;
  #lease: BlobLeaseClient | null = null;
  #isReady = false;

  constructor(connectionString: string, hostId: string, functionName: string) {
    this.#container = new ContainerClient(connectionString, 'azure-webjobs-hosts');
    this.#lockName = `locks/${hostId}/Host.Functions.${functionName}.Listener`;
    this.#statusName = `timers/${hostId}/Host.Functions.${functionName}/status`;
  }

  /** True when this process holds the lock, newly or still. */
  async hold(): Promise<boolean> {
    const blob = this.#container.getBlockBlobClient(this.#lockName);
    if (!this.#isReady) {
      await this.#container.createIfNotExists();
      await blob.upload('', 0, { conditions: { ifNoneMatch: '*' } }).catch(ignoring(409, 412));
      this.#isReady = true;
    }
    if (this.#lease !== null) {
      try {
        await this.#lease.renewLease();
        return true;
      } catch (error) {
        ignoring(404, 409, 412)(error);
        this.#lease = null;
      }
    }
    const lease = blob.getBlobLeaseClient();
    try {
      await lease.acquireLease(leaseSeconds);
      this.#lease = lease;
      return true;
    } catch (error) {
      this.#isReady = (error as RestError).statusCode !== 404;
      ignoring(404, 409)(error);
      return false;
    }
  }

  async release(): Promise<void> {
    await this.#lease?.releaseLease().catch(ignoring(404, 409, 412));
    this.#lease = null;
  }

  async readNote(): Promise<TimerNote | null> {
    const { metadata } = await this.#container.getBlockBlobClient(this.#lockName).getProperties();
    const { due, started } = metadata ?? {};
    if (due === undefined || started === undefined) return null;
    return { dueAtMs: Date.parse(due), hostStartedAtMs: Number(started) };
  }

  /** Fails when the lock was lost meanwhile. */
  async writeNote(note: TimerNote): Promise<void> {
    const leaseId = this.#lease?.leaseId ?? '';
    await this.#container
      .getBlockBlobClient(this.#lockName)
      .setMetadata(
        { due: new Date(note.dueAtMs).toISOString(), started: String(note.hostStartedAtMs) },
        { conditions: { leaseId } },
      );
  }

  async readStatus(): Promise<TimerStatus | null> {
    try {
      const blob = this.#container.getBlockBlobClient(this.#statusName);
      return JSON.parse((await blob.downloadToBuffer()).toString('utf8')) as TimerStatus;
    } catch (error) {
      ignoring(404)(error);
      return null;
    }
  }

  async writeStatus(status: TimerStatus): Promise<void> {
    const text = JSON.stringify(status);
    await this.#container
      .getBlockBlobClient(this.#statusName)
      .upload(text, Buffer.byteLength(text), {
        blobHTTPHeaders: { blobContentType: 'application/json' },
      });
  }
}

/** Somebody else was first, or nothing is there: no error here. Others are thrown on. */
function ignoring(...statuses: number[]): (error: unknown) => undefined {
  return (error) => {
    if (statuses.includes((error as { statusCode?: number }).statusCode ?? 0)) return undefined;
    throw error;
  };
}
