import { createServer, type Server, type Socket } from 'node:net';
import type * as rhea from 'rhea';
import { create_container, message as messageCodec } from 'rhea';
import { resolveSource, resolveTarget, startSequence } from '../address';
import { Refusal } from '../errors';
import type { FaultSwitches } from '../faults';
import { partitionOfKey } from '../key-hash';
import type { Namespace } from '../namespace';
import { answerManagement } from './management';
import { parseTransfer } from './event';
import { ReceiverRegistry, type ActiveReceiver } from './receivers';
import { MalformedMessage } from './sections';

/** The Standard tier's limit for an event or a batch. */
const messageBytesMax = 1024 * 1024;
/** SDKs sleep a whole second when they find no credit. */
const producerCredit = 1_000;

export interface AmqpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly namespace: Namespace;
  readonly faults: FaultSwitches;
  readonly log: (line: string) => void;
}

/** The AMQP face of the namespace. Everything is accepted that proves an identity: none is checked. */
export class AmqpServer {
  readonly #options: AmqpServerOptions;
  readonly #container: rhea.Container;
  readonly #receivers: ReceiverRegistry;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  constructor(options: AmqpServerOptions) {
    this.#options = options;
    this.#receivers = new ReceiverRegistry(options);
    this.#container = create_container({ id: 'millrace-event-hubs' });
    const { sasl_server_mechanisms: mechanisms } = this.#container as unknown as {
      sasl_server_mechanisms: Record<string, unknown> & { enable_anonymous(): void };
    };
    mechanisms.enable_anonymous();
    // .NET's name for a handshake without credentials; the token follows on $cbs.
    mechanisms['MSSBCBS'] = mechanisms['ANONYMOUS'];
    mechanisms['EXTERNAL'] = mechanisms['ANONYMOUS'];
    this.#register();
  }

  #register(): void {
    const container = this.#container;
    container.on('sender_open', (context: rhea.EventContext) => this.#openToClient(context));
    container.on('receiver_open', (context: rhea.EventContext) => this.#openFromClient(context));
    container.on('message', (context: rhea.EventContext) => this.#take(context));
    container.on('sender_close', (context: rhea.EventContext) =>
      this.#receivers.close(context.sender),
    );
    container.on('session_close', (context: rhea.EventContext) =>
      this.#receivers.closeSession(context.session),
    );
    container.on('disconnected', (context: rhea.EventContext) =>
      this.#receivers.closeConnection(context.connection),
    );
    container.on('sendable', (context: rhea.EventContext) => this.#receivers.pump(context.sender));
    for (const event of [
      'error',
      'connection_error',
      'session_error',
      'sender_error',
      'receiver_error',
      'protocol_error',
    ]) {
      container.on(event, (context: { error?: unknown }) => {
        this.#options.log(`client ${event}: ${String(context.error ?? 'no reason given')}`);
      });
    }
  }

  async listen(): Promise<number> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.setNoDelay(true);
      const connection = this.#container.create_connection({ ...connectionOptions } as never);
      (connection as unknown as { accept(socket: Socket): void }).accept(socket);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.port, this.#options.host, resolve);
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  /** A link on which the client receives. */
  #openToClient({ sender }: rhea.EventContext): void {
    if (sender === undefined) return;
    const address = String(sender.source?.address ?? '');
    sender.set_source(sender.source);
    sender.set_target(sender.target);
    if (isControlAddress(address)) return;
    this.#refusing(sender, () => {
      const source = resolveSource(this.#options.namespace, address);
      const properties = (sender.properties ?? {}) as Record<string, unknown>;
      const epoch = properties['com.microsoft:epoch'];
      const receiver: ActiveReceiver = {
        ...source,
        sender,
        next: startSequence(source.hub, source.partition, filterOf(sender)),
        epoch: epoch === undefined || epoch === null ? null : Number(epoch),
        wantsRuntimeMetric: [sender.desired_capabilities]
          .flat()
          .map(String)
          .includes('com.microsoft:enable-receiver-runtime-metric'),
      };
      this.#receivers.open(receiver);
    });
  }

  /** A link on which the client sends. */
  #openFromClient({ receiver }: rhea.EventContext): void {
    if (receiver === undefined) return;
    const address = String(receiver.target?.address ?? '');
    receiver.set_source(receiver.source);
    receiver.set_target(receiver.target);
    if (isControlAddress(address)) return;
    this.#refusing(receiver, () => {
      resolveTarget(this.#options.namespace, address);
    });
  }

  /** Answers the attach and then detaches with the error: the form in which SDKs expect a no. */
  #refusing(link: rhea.Sender | rhea.Receiver, open: () => void): void {
    try {
      open();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setImmediate(() => link.close({ condition: error.condition, description: error.message }));
    }
  }

  #take(context: rhea.EventContext): void {
    const { delivery, message, receiver } = context;
    if (delivery === undefined || receiver === undefined) return;
    const address = String(receiver.target?.address ?? '');
    if (isControlAddress(address)) {
      delivery.accept();
      const answer = answerManagement(this.#options.namespace, address, message as rhea.Message);
      this.#reply(context, answer);
      return;
    }
    const refusal = this.#options.faults.onSend(address);
    if (refusal !== null) {
      delivery.reject({ condition: refusal.condition, description: refusal.message });
      return;
    }
    try {
      this.#append(address, message, (delivery as unknown as { format: number }).format);
      delivery.accept();
    } catch (error) {
      const { condition, description } = describeFailure(error);
      if (condition === 'amqp:internal-error') this.#options.log(`send refused: ${description}`);
      delivery.reject({ condition, description });
    }
  }

  #append(address: string, message: unknown, format: number): void {
    const { hub, partition } = resolveTarget(this.#options.namespace, address);
    const bytes = Buffer.isBuffer(message) ? message : messageCodec.encode(message);
    if (bytes.length > messageBytesMax) {
      throw new Refusal(
        'amqp:link:message-size-exceeded',
        `The message is ${bytes.length} bytes, the limit is ${messageBytesMax}.`,
      );
    }
    const { envelope, events } = parseTransfer(bytes, format === 0 ? 0 : format);
    const chosen = partition ?? choosePartition(hub, keyOf(envelope));
    hub.partitions[chosen]?.append(events, Date.now());
    hub.appended(chosen);
  }

  /** Goes to the link of the same connection that the request names. */
  #reply(context: rhea.EventContext, answer: rhea.Message): void {
    const replyTo = context.message?.reply_to;
    const link = (
      context.connection as unknown as {
        find_sender(matches: (sender: rhea.Sender) => boolean): rhea.Sender | undefined;
      }
    ).find_sender((sender) => sender.target?.address === replyTo || sender.name === replyTo);
    link?.send(answer);
  }

  /** Closes every connection as a failing network would. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  detachLinks(matches: (receiver: ActiveReceiver) => boolean): void {
    this.#receivers.detach(matches, {
      condition: 'amqp:link:detach-forced',
      description: 'The link was detached by a fault switch.',
    });
  }

  /** Sends the last events again. */
  rewind(matches: (receiver: ActiveReceiver) => boolean, events: number): void {
    this.#receivers.rewind(matches, events);
  }

  hubGone(name: string): void {
    this.#receivers.detach(
      (receiver) => receiver.hub.facts.name.toLowerCase() === name.toLowerCase(),
      {
        condition: 'amqp:not-found',
        description: `The messaging entity '${name}' could not be found.`,
      },
    );
  }

  async close(): Promise<void> {
    this.dropConnections();
    const server = this.#server;
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

const connectionOptions = {
  max_frame_size: 65_536,
  channel_max: 4_999,
  idle_time_out: 240_000,
  receiver_options: {
    credit_window: producerCredit,
    autoaccept: false,
    max_message_size: messageBytesMax,
  },
  sender_options: { max_message_size: messageBytesMax },
};

function isControlAddress(address: string): boolean {
  return address.endsWith('$cbs') || address.endsWith('$management');
}

/** The selector's text, whatever descriptor it comes under. */
function filterOf(sender: rhea.Sender): string | undefined {
  const filter = (sender.source as { filter?: Record<string, unknown> } | undefined)?.filter;
  const selector = filter?.['apache.org:selector-filter:string'];
  if (selector === undefined || selector === null) return undefined;
  const value = (selector as { value?: unknown }).value ?? selector;
  return String(value);
}

function keyOf(envelope: { bytes: Buffer; count: number }): string | null {
  if (envelope.count === 0) return null;
  const head = Buffer.from([0x00, 0x53, 0x72, 0xd1, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(envelope.bytes.length + 4, 4);
  head.writeUInt32BE(envelope.count, 8);
  const decoded = messageCodec.decode(Buffer.concat([head, envelope.bytes]));
  const annotations = decoded['message_annotations'] as Record<string, unknown> | undefined;
  const key = annotations?.['x-opt-partition-key'];
  return typeof key === 'string' ? key : null;
}

function choosePartition(
  hub: { facts: { partitionCount: number }; nextPartition(): number },
  key: string | null,
): number {
  return key === null ? hub.nextPartition() : partitionOfKey(key, hub.facts.partitionCount);
}

function describeFailure(error: unknown): { condition: string; description: string } {
  if (error instanceof Refusal) return { condition: error.condition, description: error.message };
  const description = error instanceof Error ? error.message : String(error);
  if (error instanceof MalformedMessage) return { condition: 'amqp:decode-error', description };
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return {
      condition: 'amqp:resource-limit-exceeded',
      description: `The log cannot grow: ${description}`,
    };
  }
  return { condition: 'amqp:internal-error', description };
}
