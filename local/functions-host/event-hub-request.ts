import type { HubEvent } from './hub-reading/hub-event';
import type { InvocationRequest } from './invoke';
import { parseAsJsonNet } from './json-net';
import { batchMetadata, eventMetadata, type SequenceNumberForm } from './trigger-metadata';
import { listData, type TypedData } from './typed-data';

/** How a function takes the events of its hub. */
export interface HubInput {
  /** The trigger binding's name. */
  readonly name: string;
  readonly isMany: boolean;
  /** `string`, `binary`, or empty: bodies must be JSON. */
  readonly dataType: string;
  /** The same bodies may be given again: an attempt must not see what the one before wrote into them. */
  readonly isRetried: boolean;
  readonly sequenceNumberForm: SequenceNumberForm;
  readonly source: Readonly<
    Record<'FullyQualifiedNamespace' | 'EventHubName' | 'ConsumerGroup', string>
  >;
}

/**
 * What the host sends for a batch, or for the one event of cardinality one. Throws when a body is not
 * what the data type asks for: the invocation fails before the function is called.
 */
export function eventHubRequest(
  batch: readonly HubEvent[],
  input: HubInput,
  partition: { readonly partitionId: string; readonly isCheckpointing: boolean },
): InvocationRequest {
  const partitionContext = {
    ...input.source,
    PartitionId: partition.partitionId,
    IsCheckpointingAfterInvocation: partition.isCheckpointing,
  };
  const [event] = batch;
  if (input.isMany || event === undefined) {
    return {
      inputData: [{ name: input.name, data: bodiesData(batch, input) }],
      triggerMetadata: batchMetadata(batch, partitionContext, input.sequenceNumberForm),
    };
  }
  const body = bytesOf(event.body);
  const text = input.dataType === 'binary' ? null : body.toString('utf8');
  return {
    inputData: [{ name: input.name, data: text === null ? { bytes: body } : { string: text } }],
    triggerMetadata: eventMetadata(event, text, partitionContext, input.sequenceNumberForm),
  };
}

function bodiesData(batch: readonly HubEvent[], input: HubInput): TypedData {
  if (input.dataType === 'binary') {
    const bodies = batch.map(({ body }) => bytesOf(body));
    // The library copies the entries of this form, and those of a list not.
    return input.isRetried ? { collectionBytes: { bytes: bodies } } : listData(bodies);
  }
  const texts = batch.map(({ body }) => bytesOf(body).toString('utf8'));
  // The host leaves out empty texts on the way to the worker: the list can be shorter than the batch.
  if (input.dataType === 'string') {
    return { collectionString: { string: texts.filter((text) => text !== '') } };
  }
  // Without a data type the host binds to objects: one body that is not JSON fails the batch.
  return listData(texts.map(parseBody));
}

/** As Json.NET: no text at all is null. */
function parseBody(text: string, index: number): unknown {
  if (text.trim() === '') return null;
  try {
    return parseAsJsonNet(text);
  } catch (error) {
    throw new Error(
      `Exception binding parameter: the body of event ${index} of the batch is not JSON (${(error as Error).message}). Set dataType to 'string' or 'binary' to take any body.`,
    );
  }
}

function bytesOf(body: Buffer | null): Buffer {
  if (body !== null) return body;
  throw new Error(
    'Exception binding parameter: the event has an AMQP value or sequence as its body, which the host does not read. Send it as data.',
  );
}
