import type { Cluster } from '../../support/cluster';
import type { StoreFaultProxy } from '../../support/store-fault-proxy';
import type { Random } from '../../simulation/world/random';
import type { HubLoad } from '../load/hub-load';
import type { OrdersWorkload } from '../load/orders-workload';
import type { Turns } from './turns';
import type { Workers } from './workers';

/** What faults act on. */
export interface FaultSite {
  readonly cluster: Cluster;
  readonly proxy: StoreFaultProxy;
  readonly workers: Workers;
  readonly loads: readonly HubLoad[];
  readonly orders: { readonly workload: OrdersWorkload; readonly load: HubLoad };
  /** Shared with the workers' harness. */
  readonly folder: string;
  readonly partitionCount: number;
  readonly leaseMs: number;
  /** One at a time may restart the emulator, or talk to it. */
  readonly emulatorTurns: Turns;
  readonly storageTurns: Turns;
  /** Everything that stopped tasks, as it was over. */
  outage(kind: string, atMs: number): void;
  recreated(hub: string): void;
}

/** A kind of fault. */
export interface FaultKind {
  readonly name: string;
  /** Of the fault matrix, e.g. `F1 F25`. */
  readonly rows: string;
  readonly text: string;
  /** How many of it are in a deck. */
  readonly weight: number;
  /** It holds a partition up for a minute or more: not in short runs. */
  readonly isLong?: boolean;
  /** Resolves when it is over, with what it did. All its choices come from `random`. */
  strike(site: FaultSite, random: Random): Promise<string>;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
