import type * as rhea from 'rhea';
import type { ReceiveSource } from '../address';
import { Refusal } from '../errors';
import type { FaultSwitches } from '../faults';
import type { StoredEvent } from '../log/partition-log';
import { runtimeMetricSection } from './runtime-metric';

/** Without owner levels a partition and group have this many readers at most. */
const readersMax = 5;
/** Events handed to rhea at a time: an idle SDK link's credit grows without bound. */
const eventsPerTurn = 500;

export interface ActiveReceiver extends ReceiveSource {
  readonly sender: rhea.Sender;
  /** The next sequence number to send. */
  next: number;
  /** Owner level; null: none. */
  readonly epoch: number | null;
  readonly wantsRuntimeMetric: boolean;
}

/** The links that receive: who may read what, and where each stands. */
export class ReceiverRegistry {
  readonly #faults: FaultSwitches;
  readonly #active = new Map<rhea.Sender, ActiveReceiver>();
  readonly #stopListening = new Map<rhea.Sender, () => void>();

  constructor(options: { faults: FaultSwitches }) {
    this.#faults = options.faults;
  }

  /** Lets a receiver in by the rules of owner levels, or refuses it. */
  open(receiver: ActiveReceiver): void {
    const others = Array.from(this.#active.values()).filter(
      (other) =>
        other.hub === receiver.hub &&
        other.group === receiver.group &&
        other.partition === receiver.partition,
    );
    const highest = Math.max(-1, ...others.map(({ epoch }) => epoch ?? -1));
    if (highest >= 0 && (receiver.epoch === null || receiver.epoch < highest)) {
      throw new Refusal(
        'amqp:link:stolen',
        `Receiver '${receiver.sender.name}' has no or a lower epoch; the partition is held with epoch '${highest}'.`,
      );
    }
    if (receiver.epoch !== null) {
      for (const other of others) {
        this.#detach(other, {
          condition: 'amqp:link:stolen',
          description: `New receiver '${receiver.sender.name}' with epoch of '${receiver.epoch}' is created hence current receiver is getting disconnected.`,
        });
      }
    } else if (others.length >= readersMax) {
      throw new Refusal(
        'amqp:resource-limit-exceeded',
        `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${readersMax}.`,
      );
    }
    this.#active.set(receiver.sender, receiver);
    const stop = receiver.hub.onAppend((partition) => {
      if (partition === receiver.partition) setImmediate(() => this.pump(receiver.sender));
    });
    this.#stopListening.set(receiver.sender, stop);
    this.pump(receiver.sender);
  }

  /** Sends what there is, as far as the link's credit and the peer's window go. */
  pump(sender: rhea.Sender | undefined): void {
    const receiver = sender && this.#active.get(sender);
    if (sender === undefined || receiver === undefined) return;
    const log = receiver.hub.partitions[receiver.partition];
    const pause = this.#faults.onReceive(receiver);
    if (pause > 0) {
      setTimeout(() => this.pump(sender), pause);
      return;
    }
    const room = Math.min(creditOf(sender), eventsPerTurn);
    if (log === undefined || room <= 0 || !sender.sendable()) return;
    const events = log.read(receiver.next, room);
    for (const event of events) {
      if (!sender.sendable()) break;
      this.#send(receiver, event);
      receiver.next = event.sequenceNumber + 1;
    }
    if (events.length === room) setImmediate(() => this.pump(sender));
  }

  #send(receiver: ActiveReceiver, event: StoredEvent): void {
    const log = receiver.hub.partitions[receiver.partition];
    const message =
      receiver.wantsRuntimeMetric && log !== undefined
        ? Buffer.concat([runtimeMetricSection(log), event.message])
        : event.message;
    const delivery = receiver.sender.send(message, undefined, 0);
    // Settled when sent: saves a disposition per event on both sides.
    (delivery as unknown as { settled: boolean }).settled = true;
  }

  detach(matches: (receiver: ActiveReceiver) => boolean, error: rhea.AmqpError): void {
    for (const receiver of Array.from(this.#active.values())) {
      if (matches(receiver)) this.#detach(receiver, error);
    }
  }

  #detach(receiver: ActiveReceiver, error: rhea.AmqpError): void {
    this.close(receiver.sender);
    receiver.sender.close(error);
  }

  close(sender: rhea.Sender | undefined): void {
    if (sender === undefined) return;
    this.#active.delete(sender);
    this.#stopListening.get(sender)?.();
    this.#stopListening.delete(sender);
  }

  closeSession(session: rhea.Session | undefined): void {
    this.#closeWhere((receiver) => receiver.sender.session === session);
  }

  closeConnection(connection: rhea.Connection): void {
    this.#closeWhere((receiver) => receiver.sender.connection === connection);
  }

  #closeWhere(matches: (receiver: ActiveReceiver) => boolean): void {
    for (const receiver of Array.from(this.#active.values())) {
      if (matches(receiver)) this.close(receiver.sender);
    }
  }

  rewind(matches: (receiver: ActiveReceiver) => boolean, events: number): void {
    for (const receiver of this.#active.values()) {
      if (!matches(receiver)) continue;
      receiver.next = Math.max(0, receiver.next - events);
      this.pump(receiver.sender);
    }
  }
}

function creditOf(sender: rhea.Sender): number {
  return (sender as unknown as { credit: number }).credit;
}
