import type { Refusal } from './errors';

/** A partition of a hub, as a link names it. */
export interface Place {
  readonly hub: { readonly facts: { readonly name: string } };
  /** Null: a sender that leaves the partition to the hub. */
  readonly partition: number | null;
}

/** Which hub and partition a fault is for; what it does not name it is for all of. */
export class Where {
  readonly hub: string | null;
  readonly partition: number | null;

  constructor(hub: string | null, partition: number | null) {
    this.hub = hub;
    this.partition = partition;
  }

  holds({ hub, partition }: Place): boolean {
    return (
      (this.hub === null || hub.facts.name.toLowerCase() === this.hub.toLowerCase()) &&
      (this.partition === null || partition === this.partition)
    );
  }
}

/** A fault that is switched on for a while, for tests. */
export type Fault = {
  readonly direction: 'send' | 'receive';
  readonly where: Where;
  /** How often it still happens. */
  count: number;
} & (
  | { readonly kind: 'refuse'; readonly refusal: Refusal }
  | { readonly kind: 'delay'; readonly milliseconds: number }
);

/** The faults that are on. */
export class FaultSwitches {
  #faults: Fault[] = [];

  get active(): readonly Fault[] {
    return this.#faults;
  }

  add(fault: Fault): void {
    this.#faults.push(fault);
  }

  clear(): void {
    this.#faults = [];
  }

  /** What becomes of the next batch that is sent. */
  onSend(target: Place): Fault | undefined {
    return this.#take('send', target);
  }

  /** What becomes of the next events for a receiver. */
  onReceive(source: Place): Fault | undefined {
    return this.#take('receive', source);
  }

  #take(direction: Fault['direction'], place: Place): Fault | undefined {
    if (this.#faults.length === 0) return undefined;
    const fault = this.#faults.find((one) => one.direction === direction && one.where.holds(place));
    if (fault === undefined) return undefined;
    fault.count -= 1;
    if (fault.count <= 0) this.#faults = this.#faults.filter((one) => one !== fault);
    return fault;
  }
}
