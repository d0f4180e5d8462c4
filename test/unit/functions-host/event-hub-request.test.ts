// Goal: events reach the app in the shapes and names of the .NET host, whatever their sender put in.
import { message, types } from 'rhea';
import { eventHubRequest, type HubInput } from '../../../local/functions-host/event-hub-request';
import { EventDecoder } from '../../../local/functions-host/hub-reading/event-decoder';
import type { HubEvent } from '../../../local/functions-host/hub-reading/hub-event';
import { parseAsJsonNet } from '../../../local/functions-host/json-net';

const input: HubInput = {
  name: 'events',
  isMany: true,
  dataType: '',
  isRetried: false,
  sequenceNumberForm: 'number',
  source: { FullyQualifiedNamespace: 'n', EventHubName: 'h', ConsumerGroup: '$Default' },
};
const partition = { partitionId: '0', isCheckpointing: true };
const eventOf = (body: string | null): HubEvent => ({
  body: body === null ? null : Buffer.from(body),
  sequenceNumber: 1,
  offset: '2',
  enqueuedTimeUtc: new Date('2026-01-31T12:00:00.120Z'),
  partitionKey: null,
});

const dataOf = (bodies: readonly (string | null)[], options: Partial<HubInput>): unknown => {
  const batch = bodies.map(eventOf);
  const [{ data } = { data: {} }] = eventHubRequest(
    batch,
    { ...input, ...options },
    partition,
  ).inputData;
  return JSON.parse(JSON.stringify(data));
};
const bytes = (text: string): unknown => Buffer.from(text).toJSON();

test.each<[string, Partial<HubInput>, string[], unknown]>([
  [
    'texts: left out',
    { dataType: 'string' },
    ['a', '', 'b', ' '],
    { collectionString: { string: ['a', 'b', ' '] } },
  ],
  [
    'bytes: kept',
    { dataType: 'binary' },
    ['a', ''],
    { collectionSint64: { sint64: [bytes('a'), bytes('')] } },
  ],
  [
    'bytes with retries: kept',
    { dataType: 'binary', isRetried: true },
    ['', 'a'],
    { collectionBytes: { bytes: [bytes(''), bytes('a')] } },
  ],
  [
    'objects: null',
    {},
    ['{"a":1}', '', ' \n'],
    { collectionSint64: { sint64: [{ a: 1 }, null, null] } },
  ],
  ['one text', { isMany: false, dataType: 'string' }, [''], { string: '' }],
  ['one without a data type', { isMany: false }, [''], { string: '' }],
  ['one of bytes', { isMany: false, dataType: 'binary' }, [''], { bytes: bytes('') }],
])('a body without bytes among %s', (_name, options, bodies, expected) => {
  expect(dataOf(bodies, options)).toEqual(expected);
});

test.each<[string, Partial<HubInput>]>([
  ['texts', { dataType: 'string' }],
  ['bytes', { dataType: 'binary' }],
  ['objects', {}],
  ['one', { isMany: false }],
])(
  'a body that is an AMQP value fails the invocation before the function: %s',
  (_name, options) => {
    expect(() => dataOf([null], options)).toThrow(/Exception binding parameter: .*AMQP value/);
  },
);

test('without a data type a body that is not JSON fails the batch', () => {
  expect(() => dataOf(['{}', 'not json'], {})).toThrow(/body of event 1 of the batch is not JSON/);
});

test.each<[string, string]>([
  ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00Z'],
  ['2026-01-31T12:00:00.1200000Z', '2026-01-31T12:00:00.12Z'],
  ['2026-01-31T12:00:00', '2026-01-31T12:00:00'],
  ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00+00:00'],
  ['2026-01-31T12:00:00.5-01:30', '2026-01-31T13:30:00.5+00:00'],
  ['2026-02-30T12:00:00Z', '2026-02-30T12:00:00Z'],
  ['2026-01-31', '2026-01-31'],
  ['at 2026-01-31T12:00:00.000Z', 'at 2026-01-31T12:00:00.000Z'],
])('times within JSON are written anew, as Json.NET does: %s', (text, expected) => {
  expect(parseAsJsonNet(JSON.stringify({ a: [text] }))).toEqual({ a: [expected] });
});

/** A long of .NET's ticks under the name of one of its types. */
function described(name: string, ticks: bigint): unknown {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(ticks);
  const { described_nc } = types as unknown as {
    readonly described_nc: (descriptor: unknown, value: unknown) => unknown;
  };
  return described_nc(types.wrap_symbol(name), types.wrap_long(bytes));
}

test('properties and annotations have their AMQP names and the texts that .NET writes', () => {
  const encoded = message.encode({
    message_annotations: {
      'x-opt-sequence-number': types.wrap_long(3),
      'x-opt-offset': '4',
      'x-opt-enqueued-time': types.wrap_timestamp(1_700_000_000_120),
      'x-opt-mine': types.wrap_uuid(Buffer.from('00112233445566778899aabbccddeeff', 'hex')),
    },
    application_properties: {
      at: types.wrap_timestamp(1_700_000_000_000),
      bytes: types.wrap_binary(Buffer.from('hi')),
      symbol: types.wrap_symbol('s'),
      id: types.wrap_uuid(Buffer.alloc(16, 1)),
      span: described('com.microsoft:timespan', 93_784_500n * 10_000n),
      moment: described('com.microsoft:datetime-offset', 638_355_968_000_000_000n),
      letter: types.wrap_char(65),
      count: 5,
      yes: true,
    },
    message_id: types.wrap_ulong(7),
    user_id: Buffer.from('me'),
    content_type: 'text/plain',
    content_encoding: '',
    creation_time: new Date(1_700_000_000_500) as unknown as number,
    body: Buffer.from('x') as never,
  });
  const event = new EventDecoder().decode(encoded, 0, encoded.length);
  const { triggerMetadata } = eventHubRequest(
    [{ ...event, body: Buffer.from('{}') }],
    { ...input, isMany: false },
    partition,
  );
  const metadata = Object.fromEntries(
    Object.entries(triggerMetadata).map(([name, { json }]) => [name, JSON.parse(String(json))]),
  ) as Record<string, unknown>;
  expect(metadata['EnqueuedTimeUtc']).toBe('2023-11-14T22:13:20.12');
  expect(metadata['Properties']).toEqual({
    at: '2023-11-14T22:13:20Z',
    bytes: Buffer.from('hi').toString('base64'),
    symbol: 's',
    id: '01010101-0101-0101-0101-010101010101',
    span: '1.02:03:04.5000000',
    moment: '2023-11-14T22:13:20+00:00',
    letter: 'A',
    count: 5,
    yes: true,
  });
  expect(metadata['SystemProperties']).toEqual({
    'message-id': '7',
    'user-id': Buffer.from('me').toString('base64'),
    'content-type': 'text/plain',
    'creation-time': '2023-11-14T22:13:20.5+00:00',
    'x-opt-mine': '00112233-4455-6677-8899-aabbccddeeff',
    'x-opt-sequence-number': 3,
    'x-opt-offset': '4',
    'x-opt-enqueued-time': '2023-11-14T22:13:20.12Z',
    sequenceNumber: 3,
    offset: 4,
    partitionKey: null,
    enqueuedTimeUtc: '2023-11-14T22:13:20.12',
  });
});
