/**
 * Table `{hub}Partitions`: which host runs the instances of which partition. Ownership makes one host
 * do the work; it is not what makes the work safe: that is the ETag of every history.
 */
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import type { TableClient } from '@azure/data-tables';
import { nothingWhen } from './history-store';

export const partitionCount = 4;

interface PartitionRow {
  readonly partition: number;
  readonly etag: string;
  readonly owner: string;
  /** A host without a fair share asks for the partition. */
  readonly nextOwner: string;
  readonly expiresAt: Date;
}

/** What a host does about the partitions it sees. Pure. */
export function partitionMoves(options: {
  readonly self: string;
  readonly partitions: readonly Omit<PartitionRow, 'etag'>[];
  readonly nowMs: number;
  readonly isGone: (owner: string) => boolean;
}): {
  readonly renew: number[];
  readonly acquire: number[];
  readonly handOver: number[];
  readonly ask: number[];
} {
  const { self, partitions, nowMs } = options;
  const isFree = ({ owner, expiresAt }: (typeof partitions)[number]): boolean =>
    owner === '' || expiresAt.getTime() <= nowMs || options.isGone(owner);
  const isLive = (host: string): boolean => host !== '' && !options.isGone(host);
  const own = partitions.filter((one) => one.owner === self && one.expiresAt.getTime() > nowMs);
  const handOver = own.filter(({ nextOwner }) => isLive(nextOwner) && nextOwner !== self);
  const renew = own.filter((one) => !handOver.includes(one));
  const others = partitions.filter((one) => one.owner !== self && !isFree(one));
  const hosts = new Set([self, ...others.map(({ owner }) => owner)]);
  const fairShare = Math.floor(partitions.length / hosts.size);
  const acquire = partitions.filter(
    (one) => isFree(one) || (one.nextOwner === self && isFree(one)),
  );
  const held = (host: string): number => others.filter(({ owner }) => owner === host).length;
  const isAsking = others.some(({ nextOwner }) => nextOwner === self);
  const wanted =
    renew.length + acquire.length < fairShare && !isAsking
      ? others.find(({ owner, nextOwner }) => held(owner) > fairShare && !isLive(nextOwner))
      : undefined;
  const numbers = (rows: readonly { partition: number }[]): number[] =>
    rows.map(({ partition }) => partition);
  return {
    renew: numbers(renew),
    acquire: numbers(acquire),
    handOver: numbers(handOver),
    ask: wanted === undefined ? [] : [wanted.partition],
  };
}

export class PartitionTable {
  readonly #table: TableClient;
  /** Machine and process are in it: another host of this machine sees that this one is gone. */
  readonly self = `${hostname()}:${process.pid}:${randomUUID()}`;

  constructor(table: TableClient) {
    this.#table = table;
  }

  /** Renews, takes and hands over. Returns the partitions that are this host's now. */
  async tick(leaseMs: number): Promise<readonly number[]> {
    const rows = await this.#rows();
    const nowMs = Date.now();
    const moves = partitionMoves({ self: this.self, partitions: rows, nowMs, isGone });
    const held: number[] = [];
    for (const row of rows) {
      const { partition } = row;
      if (moves.renew.includes(partition) || moves.acquire.includes(partition)) {
        if (await this.#write(row, { owner: this.self, nextOwner: '', expiresInMs: leaseMs }))
          held.push(partition);
      } else if (moves.handOver.includes(partition)) {
        await this.#write(row, { owner: row.nextOwner, nextOwner: '', expiresInMs: leaseMs });
      } else if (moves.ask.includes(partition)) {
        await this.#write(row, {
          owner: row.owner,
          nextOwner: this.self,
          expiresInMs: row.expiresAt.getTime() - nowMs,
        });
      }
    }
    return held;
  }

  async release(): Promise<void> {
    for (const row of await this.#rows()) {
      if (row.owner === this.self)
        await this.#write(row, { owner: '', nextOwner: '', expiresInMs: 0 });
    }
  }

  async #rows(): Promise<PartitionRow[]> {
    const found: PartitionRow[] = [];
    for await (const row of this.#table.listEntities()) {
      found.push({
        partition: Number(row.rowKey),
        etag: row.etag,
        owner: String(row['CurrentOwner'] ?? ''),
        nextOwner: String(row['NextOwner'] ?? ''),
        expiresAt: row['ExpiresAt'] as Date,
      });
    }
    return Array.from(
      { length: partitionCount },
      (_unused, partition) =>
        found.find((row) => row.partition === partition) ?? {
          ...{ partition, etag: '', owner: '', nextOwner: '' },
          expiresAt: new Date(0),
        },
    );
  }

  /** False: another host wrote the row since it was read. */
  async #write(
    row: PartitionRow,
    to: { readonly owner: string; readonly nextOwner: string; readonly expiresInMs: number },
  ): Promise<boolean> {
    const entity = {
      partitionKey: '',
      rowKey: String(row.partition),
      CurrentOwner: to.owner,
      NextOwner: to.nextOwner,
      ExpiresAt: new Date(Date.now() + to.expiresInMs),
      LastRenewal: new Date(),
      IsDraining: false,
    };
    const written =
      row.etag === ''
        ? this.#table.createEntity(entity)
        : this.#table.updateEntity(entity, 'Replace', { etag: row.etag });
    return (await written.catch(nothingWhen(409, 412))) !== null;
  }
}

/** True when the owner was a process of this machine and is no more. */
function isGone(owner: string): boolean {
  const [machine, pid] = owner.split(':');
  if (machine !== hostname() || Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
