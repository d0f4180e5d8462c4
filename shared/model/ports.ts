/** What the engine needs of the world. Adapters implement these on Azure SDKs; tests in memory. */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}

export interface Randomness {
  /** A new globally unique id. */
  uniqueId(): string;
}

/**
 * Append blobs. Every method rejects with StreamError STREAM_STORE_UNAVAILABLE when the outcome is
 * unknown (time-out, 5xx after the adapter's own retries): the caller reads back before it repeats.
 */
export interface AppendStore {
  /** Creates an empty append blob unless the name is taken. */
  create(name: string): Promise<'created' | 'exists'>;
  /**
   * Appends atomically if and only if the blob is exactly `expectedPosition` bytes long.
   * `conflict`: somebody wrote since (or our own earlier, timed-out append arrived): read the tail.
   */
  append(request: {
    readonly name: string;
    readonly block: Uint8Array;
    readonly expectedPosition: number;
  }): Promise<'appended' | 'conflict' | 'missing'>;
  /** Bytes from `fromPosition` to the end (empty when there are none); undefined: no such blob. */
  readFrom(name: string, fromPosition: number): Promise<Uint8Array | undefined>;
  /** Length and time of the last write, by the store's clock; undefined: no such blob. */
  stat(
    name: string,
  ): Promise<{ readonly bytes: number; readonly modifiedAtMs: number } | undefined>;
  /** Names under a prefix in lexical order. */
  list(prefix: string): Promise<readonly string[]>;
  delete(name: string): Promise<void>;
}

/** Whole objects. Rejects as AppendStore does. */
export interface ObjectStore {
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** One atomic put; `exists` also when an earlier, timed-out put of our own arrived: read back. */
  putIfAbsent(name: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  get(name: string): Promise<Uint8Array | undefined>;
  list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  delete(name: string): Promise<void>;
}

/** A message as it came from a hub. */
export interface HubMessage {
  readonly sequenceNumber: number;
  readonly enqueuedTimeMs: number;
  readonly body: Uint8Array;
}

export interface HubDescription {
  /** Names the hub's incarnation: a recreated hub has another one. */
  readonly createdAtMs: number;
  readonly partitionIds: readonly string[];
}

export interface HubPartitionBounds {
  readonly firstSequenceNumber: number;
  /** -1 when the partition never held a message. */
  readonly lastSequenceNumber: number;
  readonly isEmpty: boolean;
  /** When the last message was enqueued; absent: not told. */
  readonly lastEnqueuedAtMs?: number;
}

export interface HubRange {
  readonly partitionId: string;
  readonly firstSequenceNumber: number;
  readonly lastSequenceNumber: number;
}

/** Reads one hub with one consumer group. Rejects with STREAM_HUB_UNAVAILABLE. */
export interface HubReader {
  describe(): Promise<HubDescription>;
  bounds(partitionId: string): Promise<HubPartitionBounds>;
  /**
   * Messages from `firstSequenceNumber` on, in order, until one reaches `lastSequenceNumber` or the
   * limit is met. The first one returned may be later than asked for: retention ate those before it.
   */
  read(request: {
    readonly partitionId: string;
    readonly firstSequenceNumber: number;
    readonly lastSequenceNumber: number;
    readonly messagesMax: number;
  }): Promise<readonly HubMessage[]>;
  /**
   * A range, however long, handed out piece by piece and in order; the next piece comes when the one
   * before was taken in. Retention may have eaten its beginning. Absent: `read` again and again.
   */
  scan?(range: HubRange, take: (messages: readonly HubMessage[]) => Promise<void>): Promise<void>;
}

/** From where the Functions host reads a partition for its trigger when it takes it over. */
export interface HostCheckpoint {
  readonly sequenceNumber: number;
  /** Names this writing of it: the host writes another with every batch. */
  readonly tag: string;
}

/** The host's checkpoints of one hub and consumer group. Rejects as AppendStore does. */
export interface HostCheckpoints {
  /** Undefined: there is none, or it names no sequence number. */
  read(partitionId: string): Promise<HostCheckpoint | undefined>;
  /** Deletes it, so that the host begins at the hub's first message; not if it was written since. */
  forget(partitionId: string, checkpoint: HostCheckpoint): Promise<'forgotten' | 'changed'>;
}

/** Sends to exchange hubs. Resolves when the service has accepted; rejects with STREAM_HUB_UNAVAILABLE. */
export interface HubSender {
  partitionCount(hub: string): Promise<number>;
  /** All messages to one partition, in order. */
  send(request: {
    readonly hub: string;
    readonly partition: number;
    readonly bodies: readonly Uint8Array[];
  }): Promise<void>;
}

/** Structured events for operators; fields, not prose. */
export interface Telemetry {
  emit(
    level: 'info' | 'warn' | 'error',
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ): void;
}

/** Named points where tests stop or kill the process; does nothing in production. */
export type FaultPoint = (point: string) => void | Promise<void>;
