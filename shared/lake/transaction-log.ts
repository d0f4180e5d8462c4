import { StreamError } from '../model/errors';
import type { Clock } from '../model/ports';
import type { Action } from './actions';
import { encodeActions } from './actions';
import { newestAfter } from './log-listing';
import type { LogLocation } from './log-reader';
import { readSnapshot, readVersion } from './log-reader';
import { versionName } from './names';
import { SerialQueue } from './serial-queue';
import type { Snapshot } from './snapshot';

/**
 * Versions one commit may lose to others before it gives up: every loss means that somebody else's
 * commit succeeded, so the table as a whole always moves.
 */
const lostRacesMax = 200;

/**
 * A table not touched for so long is read anew: another tool may have cleaned its old versions away
 * (Delta keeps them for 30 days), and the next version after the known one would not be the newest.
 */
const snapshotIdleMaxMs = 24 * 60 * 60 * 1000;

/**
 * What was read or written longer ago is looked at again before the next version is put: a version
 * that vanished meanwhile must not be filled below newer ones. Busy tables never get there.
 */
const snapshotTrustMs = 10_000;

export interface CommitAttempt {
  /** Unique to the flush; stays the same over its retries. In `commitInfo.txnId` of the actions. */
  readonly token: string;
  readonly actions: readonly Action[];
  /** Looks at the table after each version that somebody else wrote: is this commit still right? */
  readonly stillValid: (snapshot: Snapshot) => boolean;
}

/**
 * - `committed`: the actions are in the log at this version, once.
 * - `superseded`: they are not, and never will be: the table changed in a way that matters.
 */
export type CommitOutcome =
  { readonly kind: 'committed'; readonly version: number } | { readonly kind: 'superseded' };

/**
 * The optimistic log of one table: version n + 1 is written by whoever puts it first. One instance
 * is shared by all tasks of a process.
 */
export class TransactionLog {
  readonly #location: LogLocation;
  readonly #queue = new SerialQueue();
  readonly #clock: Clock;
  #snapshot: Snapshot | undefined;
  #usedAtMs = 0;

  constructor(location: LogLocation, clock: Clock) {
    this.#location = location;
    this.#clock = clock;
  }

  /** What is known of the table; `refresh` looks for versions written since. */
  async snapshot(options: { readonly refresh?: boolean } = {}): Promise<Snapshot> {
    const known = this.#known();
    if (known !== undefined && options.refresh !== true) return known;
    return this.#queue.run(() => this.#load(options.refresh === true ? 0 : snapshotIdleMaxMs));
  }

  /** Puts the actions as the next version, exactly once or not at all. */
  commit(attempt: CommitAttempt): Promise<CommitOutcome> {
    return this.#queue.run(() => this.#commit(attempt));
  }

  /** @param trustMs what was looked at longer ago is brought up to the newest version listed */
  async #load(trustMs: number): Promise<Snapshot> {
    const known = this.#known();
    let snapshot = known ?? (await readSnapshot(this.#location));
    if (known !== undefined && this.#clock.nowMs() - this.#usedAtMs >= trustMs) {
      snapshot = await this.#catchUp(known);
    }
    this.#snapshot = snapshot;
    this.#usedAtMs = this.#clock.nowMs();
    return snapshot;
  }

  #known(): Snapshot | undefined {
    const isFresh = this.#clock.nowMs() - this.#usedAtMs < snapshotIdleMaxMs;
    return isFresh ? this.#snapshot : undefined;
  }

  /** What vanished below the newest version was cleaned behind a checkpoint, or is a hole. */
  async #catchUp(snapshot: Snapshot): Promise<Snapshot> {
    const { logFolder, objects } = this.#location;
    const newest = await newestAfter(objects, logFolder, snapshot.version);
    while (snapshot.version < newest) {
      const actions = await readVersion(this.#location, snapshot.version + 1);
      if (actions === undefined) return readSnapshot(this.#location);
      snapshot.apply(snapshot.version + 1, actions);
    }
    return snapshot;
  }

  async #commit(attempt: CommitAttempt): Promise<CommitOutcome> {
    const snapshot = await this.#load(snapshotTrustMs);
    if (!attempt.stillValid(snapshot)) return { kind: 'superseded' };
    const bytes = encodeActions(attempt.actions);
    for (let losses = 0; losses <= lostRacesMax;) {
      const version = snapshot.version + 1;
      if ((await this.#put(version, bytes)) === 'created') {
        snapshot.apply(version, attempt.actions);
        return { kind: 'committed', version };
      }
      // Somebody's version is there, perhaps our own: an answer that was lost on its way.
      let news = await readVersion(this.#location, version);
      if (news === undefined) throw unreadable(versionName(this.#location.logFolder, version));
      for (; news !== undefined; news = await readVersion(this.#location, snapshot.version + 1)) {
        snapshot.apply(snapshot.version + 1, news);
        losses += 1;
        if (isOwn(news, attempt.token)) return { kind: 'committed', version: snapshot.version };
        if (!attempt.stillValid(snapshot)) return { kind: 'superseded' };
      }
    }
    throw new StreamError(
      'STREAM_TABLE_CONTENDED',
      `the table log ${this.#location.logFolder} was written by others ${lostRacesMax} times in a row; repeat the flush, or flush larger and rarer`,
      { details: { logFolder: this.#location.logFolder, version: snapshot.version } },
    );
  }

  /** One put; where its outcome is unknown, what the log says decides. */
  async #put(version: number, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const { objects, logFolder, telemetry } = this.#location;
    const name = versionName(logFolder, version);
    try {
      return await objects.putIfAbsent(name, bytes);
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'STREAM_STORE_UNAVAILABLE') throw error;
      telemetry.emit('warn', 'table.commit-outcome-unknown', { name, error: error.message });
      if ((await objects.get(name)) !== undefined) return 'exists';
      // Not there (yet): the caller repeats. Should the put land late, it is found by its token or
      // by its txn; no other commit can have this version then.
      throw error;
    }
  }
}

function isOwn(actions: readonly Action[], token: string): boolean {
  return actions.some(({ commitInfo }) => commitInfo?.txnId === token);
}

function unreadable(name: string): StreamError {
  return new StreamError(
    'STREAM_STORE_UNAVAILABLE',
    `${name} exists and cannot be read; repeat the flush`,
    { details: { name } },
  );
}
