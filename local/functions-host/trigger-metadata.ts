import type { HubEvent } from './hub-reading/hub-event';
import { netTime } from './hub-reading/net-values';
import { jsonData, listData, readyListData, type TypedData } from './typed-data';

/**
 * How sequence numbers reach the app: as numbers, or as the `{ low, high, unsigned }` that Node
 * workers of 3.16 and later send.
 */
export type SequenceNumberForm = 'number' | 'long';

/** Trigger metadata of a batch (cardinality many), in the names and shapes that the host gives. */
export function batchMetadata(
  batch: readonly HubEvent[],
  partitionContext: Readonly<Record<string, unknown>>,
  form: SequenceNumberForm,
): Record<string, TypedData> {
  const times = timesOf(batch);
  const partitionKeys: string[] = [];
  for (const { partitionKey } of batch) if (partitionKey) partitionKeys.push(partitionKey);
  return {
    SequenceNumberArray: listData(batch.map((event) => sequenceNumberOf(event, form))),
    OffsetArray: listData(batch.map(({ offset }) => String(offset))),
    EnqueuedTimeUtcArray: listData(times),
    // The worker drops entries that are null or empty: this list can be shorter than the batch.
    PartitionKeyArray: listData(partitionKeys),
    PropertiesArray: propertiesOf(batch),
    SystemPropertiesArray: readyListData(
      batch.map((event, index) => systemProperties(event, times[index] ?? '')),
    ),
    PartitionContext: jsonData(partitionContext),
  };
}

/** Trigger metadata of one event (cardinality one), with the fields of a JSON object body. */
export function eventMetadata(
  event: HubEvent,
  body: string | null,
  partitionContext: Readonly<Record<string, unknown>>,
  form: SequenceNumberForm,
): Record<string, TypedData> {
  const [time = ''] = timesOf([event]);
  return {
    ...bodyFields(body),
    ...(event.partitionKey && { PartitionKey: jsonData(event.partitionKey) }),
    Offset: jsonData(String(event.offset)),
    SequenceNumber: jsonData(sequenceNumberOf(event, form)),
    EnqueuedTimeUtc: jsonData(time),
    Properties: jsonData(event.properties ?? {}),
    SystemProperties: jsonData(systemProperties(event, time)),
    PartitionContext: jsonData(partitionContext),
  };
}

function sequenceNumberOf(event: HubEvent, form: SequenceNumberForm): unknown {
  const value = event.sequenceNumber;
  if (form === 'number') return value;
  return { low: value | 0, high: Math.floor(value / 2 ** 32), unsigned: false };
}

/** .NET gives these times without a zone. Neighbours mostly share their millisecond. */
function timesOf(batch: readonly HubEvent[]): string[] {
  let lastMs = NaN;
  let lastText = '';
  return batch.map(({ enqueuedTimeUtc }) => {
    const timeMs = enqueuedTimeUtc.getTime();
    if (timeMs !== lastMs) {
      lastMs = timeMs;
      lastText = netTime(enqueuedTimeUtc);
    }
    return lastText;
  });
}

/** The events' own properties; mostly there are none. */
function propertiesOf(batch: readonly HubEvent[]): TypedData {
  if (batch.every(({ properties }) => isEmpty(properties))) {
    return readyListData(batch.map(() => ({})));
  }
  return listData(batch.map(({ properties }) => properties ?? {}));
}

/**
 * The service's annotations, which the SDK takes apart, and the names the host has always added; names
 * begin small, as the library gives them to the app.
 */
function systemProperties(event: HubEvent, time: string): Record<string, unknown> {
  const { sequenceNumber } = event;
  const partitionKey = event.partitionKey ?? null;
  const text = String(event.offset);
  const number = Number(text);
  const properties: Record<string, unknown> = {
    'x-opt-sequence-number': sequenceNumber,
    'x-opt-offset': text,
    'x-opt-enqueued-time': `${time}Z`,
    sequenceNumber,
    offset: Number.isNaN(number) ? -1 : number,
    partitionKey,
    enqueuedTimeUtc: time,
  };
  if (partitionKey !== null) properties['x-opt-partition-key'] = partitionKey;
  if (isEmpty(event.systemProperties)) return properties;
  return { ...withSmallInitials(event.systemProperties ?? {}), ...properties };
}

function withSmallInitials(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      name.charAt(0).toLowerCase() + name.slice(1),
      value,
    ]),
  );
}

function isEmpty(properties: object | undefined): boolean {
  for (const name in properties) return name === undefined;
  return true;
}

/** Fields of a body that is a JSON object, other than lists: the host makes them metadata as well. */
function bodyFields(body: string | null): Record<string, TypedData> {
  if (body === null || !body.trimStart().startsWith('{')) return {};
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(body) as Record<string, unknown>;
  } catch (error) {
    // Not JSON after all: the function gets the text, and the metadata nothing of it.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => !Array.isArray(value))
      .map(([name, value]) => [name, jsonData(value)]),
  );
}
