/**
 * An event as the trigger needs it: the fields of the SDK's `ReceivedEventData` of the same names.
 * Values within properties have the shape that the .NET host gives them as JSON.
 */
export interface HubEvent {
  /** The bytes of its data sections; null: it is an AMQP value or sequence, which .NET's reader refuses. */
  readonly body: Buffer | null;
  readonly sequenceNumber: number;
  readonly offset: string;
  /** Neighbours may share the object. */
  readonly enqueuedTimeUtc: Date;
  readonly partitionKey: string | null;
  /** What the sender put beside the body; undefined when there is nothing. */
  readonly properties?: Record<string, unknown> | undefined;
  /**
   * Standard properties of the message by their AMQP names (`content-type`), and further annotations;
   * undefined when there are none.
   */
  readonly systemProperties?: Record<string, unknown> | undefined;
}

/** Where a partition without a checkpoint begins. */
export type StartPosition = 'start' | 'end' | { readonly enqueuedAfter: Date };

/** A place in a partition that reading goes on after. */
export type ReadPosition =
  StartPosition | { readonly afterOffset: string } | { readonly afterSequenceNumber: number };

/** The selector that a receiver sends (Event Hubs AMQP guide, "Filters"). */
export function selectorOf(position: ReadPosition): string {
  if (position === 'start') return "amqp.annotation.x-opt-offset > '-1'";
  if (position === 'end') return "amqp.annotation.x-opt-offset > '@latest'";
  if ('enqueuedAfter' in position) {
    return `amqp.annotation.x-opt-enqueued-time > '${position.enqueuedAfter.getTime()}'`;
  }
  return 'afterOffset' in position
    ? `amqp.annotation.x-opt-offset > '${position.afterOffset}'`
    : `amqp.annotation.x-opt-sequence-number > '${position.afterSequenceNumber}'`;
}
