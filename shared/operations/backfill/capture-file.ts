import { Readable } from 'node:stream';
import { StreamError } from '../../model/errors';

/** Container of Capture's files, in the account of the lake: the template makes it. */
export const captureContainer = 'capture';

/** A message as Event Hubs Capture kept it. */
export interface CapturedMessage {
  readonly body: Uint8Array;
  /** Null: the file does not say it in a form that is known. */
  readonly enqueuedTimeMs: number | null;
}

/**
 * What we read of Capture's records; their other fields are skipped.
 * Source: learn.microsoft.com/azure/event-hubs/explore-captured-avro-files
 */
const readerSchema = {
  type: 'record',
  name: 'EventData',
  namespace: 'Microsoft.ServiceBus.Messaging',
  fields: [
    { name: 'EnqueuedTimeUtc', type: 'string' },
    { name: 'Body', type: ['null', 'bytes'] },
  ],
};

interface CaptureRecord {
  readonly EnqueuedTimeUtc: string;
  readonly Body: Uint8Array | null;
}

/**
 * The messages of an Avro file that Event Hubs Capture wrote (blocks plain or deflated), in order.
 * @throws StreamError STREAM_CONFIGURATION_INVALID when it is no such file, or is cut off or damaged
 */
export async function readCaptureFile(name: string, bytes: Uint8Array): Promise<CapturedMessage[]> {
  // Loaded when it is needed: an app that starts has no use for it.
  const { streams } = await import('avsc');
  const decoder = new streams.BlockDecoder({ readerSchema });
  const messages: CapturedMessage[] = [];
  let sync: Buffer | null = null;
  try {
    await new Promise<void>((resolve, reject) => {
      decoder.once('metadata', (_type: unknown, _codec: unknown, header: { sync: Buffer }) => {
        ({ sync } = header);
      });
      decoder.on('data', (record: CaptureRecord) => messages.push(messageOf(record)));
      decoder.once('end', resolve);
      decoder.once('error', reject);
      Readable.from([Buffer.from(bytes)]).pipe(decoder);
    });
    assertWhole(bytes, sync);
  } catch (cause) {
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${name} cannot be read as an Avro file of Event Hubs Capture: ${(cause as Error).message}`,
      { cause },
    );
  }
  return messages;
}

/** The library takes an end in the middle of a block for the end: every block ends with the marker. */
function assertWhole(bytes: Uint8Array, sync: Buffer | null): void {
  if (sync === null) throw new Error('it has no whole header');
  if (Buffer.from(bytes.subarray(-sync.length)).equals(sync)) return;
  throw new Error('its last block is cut off');
}

function messageOf({ Body, EnqueuedTimeUtc }: CaptureRecord): CapturedMessage {
  // Capture writes the time without a zone, and means UTC.
  const hasZone = /(?:Z|[+-]\d\d:?\d\d|UTC|GMT)$/i.test(EnqueuedTimeUtc);
  const enqueuedTimeMs = Date.parse(hasZone ? EnqueuedTimeUtc : `${EnqueuedTimeUtc}Z`);
  const elsewise = hasZone ? Number.NaN : Date.parse(`${EnqueuedTimeUtc} UTC`);
  const time = Number.isNaN(enqueuedTimeMs) ? elsewise : enqueuedTimeMs;
  return { body: Body ?? new Uint8Array(), enqueuedTimeMs: Number.isNaN(time) ? null : time };
}
