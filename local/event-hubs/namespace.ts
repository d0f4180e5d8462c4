import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IncomingEvent } from './message/event';
import { isHubName } from './config';
import { Refusal } from './errors';
import type { Where } from './faults';
import { Hub, type HubFacts } from './hub';
import { readHubsFile, writeHubsFile } from './hubs-file';
import type { LogLimits } from './log/partition-log';
import type { ProducerClaim } from './log/producer-states';

/** Hubs that are made because somebody asked for them. */
const hubsMax = 1_000;

export interface NamespaceOptions {
  readonly directory: string;
  /** Partitions of a hub that is made when somebody first asks for it; null: none is. */
  readonly createOnTheFlyPartitions: number | null;
  readonly limits: LogLimits;
  /** Gives up a partition's last file from its first damaged byte on, instead of refusing to open. */
  readonly isCuttingDamage: boolean;
  readonly log: (line: string) => void;
}

/** All hubs of the one namespace, by name. */
export class Namespace {
  readonly #options: NamespaceOptions;
  readonly #hubs = new Map<string, Hub>();
  #failure: string | null = null;

  /** Opens what the folder holds; closes it again when a part of it cannot be opened. */
  constructor(options: NamespaceOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
    try {
      for (const facts of readHubsFile(options.directory)) this.#open(facts);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open(facts: HubFacts): Hub {
    const directory = join(
      this.#options.directory,
      `${encodeURIComponent(facts.name)}-${facts.createdAtMs}`,
    );
    const hub = new Hub(directory, facts, this.#options);
    hub.partitions.forEach(({ tornBytes }, partition) => {
      if (tornBytes === 0) return;
      const what = this.#options.isCuttingDamage ? 'damaged' : 'written and never acknowledged';
      this.#options.log(`${facts.name}/${partition}: cut ${tornBytes} bytes that were ${what}`);
    });
    this.#hubs.set(facts.name.toLowerCase(), hub);
    return hub;
  }

  get hubs(): Hub[] {
    return Array.from(this.#hubs.values());
  }

  /** Why the disk refused the last write; null while it takes what comes. */
  get failure(): string | null {
    return this.#failure;
  }

  /** The hub of this name, made if hubs are made on the fly. */
  find(name: string): Hub | undefined {
    const hub = this.#hubs.get(name.toLowerCase());
    const { createOnTheFlyPartitions: partitionCount } = this.#options;
    if (hub !== undefined || partitionCount === null || !isHubName(name)) return hub;
    if (this.#hubs.size >= hubsMax) {
      throw new Refusal('amqp:resource-limit-exceeded', `No more than ${hubsMax} hubs are made.`);
    }
    return this.create({ name, partitionCount, consumerGroups: [] });
  }

  isCreatingOnTheFly(): boolean {
    return this.#options.createOnTheFlyPartitions !== null;
  }

  /** Creates a hub, or gives the one that exists the groups it lacks. */
  create(wanted: Omit<HubFacts, 'createdAtMs'>): Hub {
    const known = this.#hubs.get(wanted.name.toLowerCase());
    if (known === undefined) {
      const facts = { ...wanted, createdAtMs: Date.now() };
      // Named on disk first: what a hub acknowledges must be found again.
      this.#save([...this.#facts(), facts]);
      return this.#open(facts);
    }
    const lacking = wanted.consumerGroups.filter((group) => !known.hasGroup(group));
    if (lacking.length > 0) {
      known.addGroups(lacking);
      this.#save(this.#facts());
    }
    return known;
  }

  /** Creates a hub that a configuration names. */
  configure(wanted: Omit<HubFacts, 'createdAtMs'>): void {
    const hub = this.create(wanted);
    if (hub.facts.partitionCount === wanted.partitionCount) return;
    this.#options.log(
      `${wanted.name} has ${hub.facts.partitionCount} partitions on disk, the configuration says ${wanted.partitionCount}: it keeps those it has; delete the hub to change that`,
    );
  }

  /** Deletes and creates again: empty, with another creation time. */
  recreate(name: string): Hub | undefined {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) return undefined;
    const createdAtMs = Math.max(Date.now(), hub.facts.createdAtMs + 1);
    const facts = { ...hub.facts, createdAtMs };
    this.#save([...this.#facts().filter((one) => one !== hub.facts), facts]);
    const again = this.#open(facts);
    hub.remove();
    return again;
  }

  delete(name: string): boolean {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) return false;
    this.#save(this.#facts().filter((one) => one !== hub.facts));
    this.#hubs.delete(name.toLowerCase());
    hub.remove();
    return true;
  }

  /** Writes a batch and tells who waits for it; throws, with nothing kept, when that cannot be. */
  append(batch: {
    readonly hub: Hub;
    readonly partition: number;
    readonly events: readonly IncomingEvent[];
    readonly claim: ProducerClaim | null;
  }): void {
    const { claim, events, hub, partition } = batch;
    this.#watching(() => hub.log(partition).append(events, Date.now(), claim));
    hub.appended(partition);
  }

  /**
   * What a forced promotion of a replica does: in each partition the last events are gone. The hubs
   * are the same ones, with the creation times that they had.
   */
  promote(where: Where, events: number): { hub: string; partition: string; lost: number }[] {
    const losses: { hub: string; partition: string; lost: number }[] = [];
    for (const hub of this.hubs) {
      hub.partitions.forEach((log, partition) => {
        if (!where.holds({ hub, partition })) return;
        this.#watching(() => {
          const lost = log.loseLast(events);
          losses.push({ hub: hub.facts.name, partition: String(partition), lost });
        });
      });
    }
    return losses;
  }

  /** Asks the disk to keep what was written. */
  sync(): void {
    for (const hub of this.hubs) {
      for (const partition of hub.partitions) {
        partition.sync((error) => this.#fail(`${hub.facts.name}: fdatasync: ${error.message}`));
      }
    }
  }

  /** Drops what is past retention; a partition that cannot is left as it is, and said. */
  retain(nowMs: number): void {
    for (const hub of this.hubs) {
      hub.partitions.forEach((partition, index) => {
        try {
          partition.retain(nowMs);
        } catch (error) {
          this.#fail(`${hub.facts.name}/${index}: retention: ${(error as Error).message}`);
        }
      });
    }
  }

  close(): void {
    for (const hub of this.#hubs.values()) hub.close();
  }

  #watching(write: () => void): void {
    try {
      write();
      this.#failure = null;
    } catch (error) {
      // Only what the file system says has a code: all else is the client's.
      if ((error as NodeJS.ErrnoException).code !== undefined) {
        this.#failure = (error as Error).message;
      }
      throw error;
    }
  }

  #fail(line: string): void {
    this.#failure = line;
    this.#options.log(line);
  }

  #facts(): HubFacts[] {
    return this.hubs.map(({ facts }) => facts);
  }

  #save(hubs: readonly HubFacts[]): void {
    this.#watching(() => writeHubsFile(this.#options.directory, hubs));
  }
}
