import { Refusal } from './errors';

/** A fault that is switched on for a while, for tests. */
export interface Fault {
  readonly kind: 'server-busy' | 'delay';
  readonly direction: 'send' | 'receive';
  readonly hub?: string;
  readonly partition?: string;
  /** How often it still happens. */
  count: number;
  readonly milliseconds: number;
}

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

  /** A refusal for what is being sent to an address, or null. */
  onSend(address: string): Refusal | null {
    const fault = this.#take((one) => {
      const isHub = one.hub === undefined || address.replace(/^\/+/, '').startsWith(one.hub);
      return one.kind === 'server-busy' && one.direction === 'send' && isHub;
    });
    return fault === undefined
      ? null
      : new Refusal('com.microsoft:server-busy', 'The server is busy. Please wait and retry.');
  }

  /** How long a receiver is made to wait, in milliseconds. */
  onReceive(receiver: { hub: { facts: { name: string } }; partition: number }): number {
    const fault = this.#take(
      (one) =>
        one.kind === 'delay' &&
        one.direction === 'receive' &&
        (one.hub === undefined || one.hub === receiver.hub.facts.name) &&
        (one.partition === undefined || one.partition === String(receiver.partition)),
    );
    return fault?.milliseconds ?? 0;
  }

  #take(matches: (fault: Fault) => boolean): Fault | undefined {
    const fault = this.#faults.find(matches);
    if (fault === undefined) return undefined;
    fault.count -= 1;
    if (fault.count <= 0) this.#faults = this.#faults.filter((one) => one !== fault);
    return fault;
  }
}
