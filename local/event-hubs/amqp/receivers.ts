import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import type { FaultSwitches, Where } from '../faults';
import { EventReceiver, type ReceiverFacts, type ReceiverOptions } from './event-receiver';
import { describeFailure } from './failures';
import { onSessionFlow } from './outgoing-link';
import { onSessionDisposition } from './unsettled-deliveries';

/** Without owner levels a partition and group have this many readers at most. */
const readersMax = 5;

/** The links that receive: who may read what. */
export class ReceiverRegistry {
  readonly #options: ReceiverOptions;
  readonly #active = new Map<rhea.Sender, EventReceiver>();
  readonly #bySession = new Map<rhea.Session, Set<EventReceiver>>();

  constructor(options: { readonly faults: FaultSwitches; readonly log: (line: string) => void }) {
    this.#options = {
      faults: options.faults,
      waiting: { bytes: 0 },
      onFailure: (receiver, error) => {
        const reason = describeFailure(error);
        if (!(error instanceof Refusal)) {
          const { hub, partition } = receiver.facts;
          options.log(`receiver of ${hub.facts.name}/${partition} ended: ${reason.description}`);
        }
        this.#detach(receiver, reason);
      },
    };
  }

  /** Lets a receiver in by the rules of owner levels, or refuses it. */
  open(facts: ReceiverFacts): void {
    this.#admit(facts);
    const receiver = new EventReceiver(facts, this.#options);
    const { session } = facts.sender;
    this.#active.set(facts.sender, receiver);
    const ofSession = this.#bySession.get(session) ?? new Set();
    this.#bySession.set(session, ofSession.add(receiver));
    onSessionFlow(session, () => this.#bySession.get(session)?.forEach((one) => one.due()));
    onSessionDisposition(session, (disposition) =>
      Array.from(this.#bySession.get(session) ?? [], (one) => one.settle(disposition)),
    );
    receiver.due();
  }

  #admit({ epoch, group, hub, partition, sender }: ReceiverFacts): void {
    const others = this.#where(
      ({ facts }) => facts.hub === hub && facts.group === group && facts.partition === partition,
    );
    const highest = Math.max(-1, ...others.map(({ facts }) => facts.epoch ?? -1));
    if (highest >= 0 && (epoch === null || epoch < highest)) {
      throw new Refusal(
        'amqp:link:stolen',
        `Receiver '${sender.name}' has no or a lower epoch; the partition is held with epoch '${highest}'.`,
      );
    }
    if (epoch !== null) {
      for (const other of others) {
        this.#detach(other, {
          condition: 'amqp:link:stolen',
          description: `New receiver '${sender.name}' with epoch of '${epoch}' is created hence current receiver is getting disconnected.`,
        });
      }
    } else if (others.length >= readersMax) {
      throw new Refusal(
        'amqp:resource-limit-exceeded',
        `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${readersMax}.`,
      );
    }
  }

  #where(matches: (receiver: EventReceiver) => boolean): EventReceiver[] {
    return Array.from(this.#active.values()).filter(matches);
  }

  detach(where: Where, error: rhea.AmqpError): void {
    for (const receiver of this.#where(({ facts }) => where.holds(facts))) {
      this.#detach(receiver, error);
    }
  }

  #detach(receiver: EventReceiver, error: rhea.AmqpError): void {
    const { sender } = receiver.facts;
    this.close(sender);
    sender.close(error);
  }

  close(sender: rhea.Sender): void {
    const receiver = this.#active.get(sender);
    if (receiver === undefined) return;
    receiver.close();
    this.#active.delete(sender);
    const ofSession = this.#bySession.get(sender.session);
    ofSession?.delete(receiver);
    if (ofSession?.size === 0) this.#bySession.delete(sender.session);
  }

  closeSession(session: rhea.Session): void {
    for (const receiver of this.#bySession.get(session) ?? []) this.close(receiver.facts.sender);
  }

  closeConnection(connection: rhea.Connection): void {
    for (const { facts } of this.#where((one) => one.facts.sender.connection === connection)) {
      this.close(facts.sender);
    }
  }

  rewind(where: Where, events: number): void {
    for (const receiver of this.#where(({ facts }) => where.holds(facts))) receiver.rewind(events);
  }
}
