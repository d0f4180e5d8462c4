import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { badPartition } from './errors';
import { PartitionLog, type LogLimits } from './log/partition-log';

export interface HubFacts {
  readonly name: string;
  readonly partitionCount: number;
  readonly consumerGroups: readonly string[];
  readonly createdAtMs: number;
}

/** A hub: its facts and its partitions' logs. Names are case-insensitive. */
export class Hub {
  #facts: HubFacts;
  readonly partitions: readonly PartitionLog[];
  readonly #directory: string;
  #nextPartition = 0;
  readonly #listeners = new Set<(partition: number) => void>();

  constructor(
    directory: string,
    facts: HubFacts,
    options: { readonly limits: LogLimits; readonly isCuttingDamage: boolean },
  ) {
    this.#facts = facts;
    this.#directory = directory;
    const partitions: PartitionLog[] = [];
    try {
      for (let index = 0; index < facts.partitionCount; index += 1) {
        const folder = join(directory, String(index));
        partitions.push(new PartitionLog(folder, options.limits, options.isCuttingDamage));
      }
    } catch (error) {
      for (const partition of partitions) partition.close();
      throw error;
    }
    this.partitions = partitions;
  }

  get facts(): HubFacts {
    return this.#facts;
  }

  /** The log of a partition; a refusal when there is none of that number. */
  log(partition: number): PartitionLog {
    const log = this.partitions[partition];
    if (log === undefined) throw badPartition(String(partition), this.facts.partitionCount);
    return log;
  }

  hasGroup(name: string): boolean {
    const wanted = name.toLowerCase();
    return (
      wanted === '$default' ||
      this.facts.consumerGroups.some((group) => group.toLowerCase() === wanted)
    );
  }

  addGroups(names: readonly string[]): void {
    this.#facts = {
      ...this.#facts,
      consumerGroups: [...this.#facts.consumerGroups, ...names],
    };
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

  close(): void {
    for (const partition of this.partitions) partition.close();
  }

  /** Closes it and deletes what it kept. */
  remove(): void {
    for (const partition of this.partitions) partition.remove();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
