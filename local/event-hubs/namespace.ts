import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PartitionLog } from './log/partition-log';

export interface HubFacts {
  readonly name: string;
  readonly partitionCount: number;
  readonly consumerGroups: readonly string[];
  readonly createdAtMs: number;
}

/** A hub: its facts on disk beside its partitions' logs. Names are case-insensitive. */
export class Hub {
  readonly facts: HubFacts;
  readonly partitions: readonly PartitionLog[];
  readonly #directory: string;
  #nextPartition = 0;
  readonly #listeners = new Set<(partition: number) => void>();

  constructor(directory: string, facts: HubFacts) {
    this.facts = facts;
    this.#directory = directory;
    this.partitions = Array.from(
      { length: facts.partitionCount },
      (_, index) => new PartitionLog(directory, index),
    );
  }

  hasGroup(name: string): boolean {
    const wanted = name.toLowerCase();
    return (
      wanted === '$default' ||
      this.facts.consumerGroups.some((group) => group.toLowerCase() === wanted)
    );
  }

  /** The partition for a batch that names neither partition nor key. */
  nextPartition(): number {
    this.#nextPartition = (this.#nextPartition + 1) % this.facts.partitionCount;
    return this.#nextPartition;
  }

  onAppend(listener: (partition: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  appended(partition: number): void {
    for (const listener of this.#listeners) listener(partition);
  }

  sync(): void {
    for (const partition of this.partitions) partition.sync();
  }

  close(): void {
    for (const partition of this.partitions) partition.close();
  }

  remove(): void {
    this.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** All hubs of the one namespace, by name. */
export class Namespace {
  readonly #directory: string;
  readonly #hubs = new Map<string, Hub>();
  readonly #createOnTheFly: number | null;

  constructor(options: { directory: string; createOnTheFlyPartitions: number | null }) {
    this.#directory = options.directory;
    this.#createOnTheFly = options.createOnTheFlyPartitions;
    mkdirSync(this.#directory, { recursive: true });
    const file = this.#factsFile();
    if (!existsSync(file)) return;
    for (const facts of JSON.parse(readFileSync(file, 'utf8')) as HubFacts[]) {
      this.#hubs.set(facts.name.toLowerCase(), new Hub(this.#hubDirectory(facts), facts));
    }
  }

  get hubs(): Hub[] {
    return Array.from(this.#hubs.values());
  }

  find(name: string): Hub | undefined {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub !== undefined || this.#createOnTheFly === null) return hub;
    return this.create({ name, partitionCount: this.#createOnTheFly, consumerGroups: [] });
  }

  isCreatingOnTheFly(): boolean {
    return this.#createOnTheFly !== null;
  }

  /** Creates a hub, or leaves it as it is when it exists. */
  create(wanted: Omit<HubFacts, 'createdAtMs'>): Hub {
    const known = this.#hubs.get(wanted.name.toLowerCase());
    if (known !== undefined) return known;
    const facts = { ...wanted, createdAtMs: Date.now() };
    const hub = new Hub(this.#hubDirectory(facts), facts);
    this.#hubs.set(wanted.name.toLowerCase(), hub);
    this.#save();
    return hub;
  }

  /** Deletes and creates again: empty, with another creation time. */
  recreate(name: string): Hub | undefined {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) return undefined;
    this.delete(name);
    const createdAtMs = Math.max(Date.now(), hub.facts.createdAtMs + 1);
    const again = new Hub(this.#hubDirectory({ ...hub.facts, createdAtMs }), {
      ...hub.facts,
      createdAtMs,
    });
    this.#hubs.set(name.toLowerCase(), again);
    this.#save();
    return again;
  }

  delete(name: string): boolean {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) return false;
    this.#hubs.delete(name.toLowerCase());
    this.#save();
    hub.remove();
    return true;
  }

  sync(): void {
    for (const hub of this.#hubs.values()) hub.sync();
  }

  close(): void {
    for (const hub of this.#hubs.values()) hub.close();
  }

  #hubDirectory(facts: HubFacts): string {
    return join(this.#directory, `${encodeURIComponent(facts.name)}-${facts.createdAtMs}`);
  }

  #factsFile(): string {
    return join(this.#directory, 'hubs.json');
  }

  #save(): void {
    const facts = Array.from(this.#hubs.values(), (hub) => hub.facts);
    const draft = `${this.#factsFile()}.new`;
    writeFileSync(draft, JSON.stringify(facts, null, 2));
    renameSync(draft, this.#factsFile());
  }
}
