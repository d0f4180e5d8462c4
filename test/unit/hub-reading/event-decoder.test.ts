// Goal: what every event has is read in place; what is cut short or no message is refused.
import { EventDecoder } from '../../../local/functions-host/hub-reading/event-decoder';

/** Sequence number 258, time 1,000 ms, offset "77", partition key "k"; no properties; the body "hi". */
const message = Buffer.from(
  [
    '005372', // message annotations: a map of eight
    'd1 00000061 00000008',
    `a315${Buffer.from('x-opt-sequence-number').toString('hex')} 81 0000000000000102`,
    `a313${Buffer.from('x-opt-enqueued-time').toString('hex')} 83 00000000000003e8`,
    `a30c${Buffer.from('x-opt-offset').toString('hex')} a1 02 3737`,
    `a313${Buffer.from('x-opt-partition-key').toString('hex')} a1 01 6b`,
    '005373 45', // properties: an empty list
    '005375 a0 02 6869', // data
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);
// The map's size is that of its entries and its count.
message.writeUInt32BE(message.length - 8 - 4 - 7, 4);

test('position, time, key and body are read, wherever the message lies', () => {
  const around = Buffer.concat([Buffer.alloc(5, 0xff), message, Buffer.alloc(5, 0xff)]);
  expect(new EventDecoder().decode(around, 5, 5 + message.length)).toEqual({
    body: Buffer.from('hi'),
    sequenceNumber: 258,
    offset: '77',
    enqueuedTimeUtc: new Date(1_000),
    partitionKey: 'k',
    properties: undefined,
    systemProperties: undefined,
  });
});

test('a key is not carried over to the next event', () => {
  const decoder = new EventDecoder();
  decoder.decode(message, 0, message.length);
  const bare = Buffer.from('005375a0016f', 'hex');
  expect(decoder.decode(bare, 0, bare.length).partitionKey).toBeNull();
});

test('several data sections are one body', () => {
  const pieces = Buffer.from('005375a00161005375a0026263', 'hex');
  expect(new EventDecoder().decode(pieces, 0, pieces.length).body).toEqual(Buffer.from('abc'));
});

test('a data section of null, as the SDK sends the body null, is a body without bytes', () => {
  const empty = Buffer.from('00537540', 'hex');
  expect(new EventDecoder().decode(empty, 0, empty.length).body).toEqual(Buffer.alloc(0));
});

test.each([
  ['cut short', message.subarray(0, message.length - 1)],
  ['cut within the annotations', message.subarray(0, 40)],
  ['not a message', Buffer.from('hello')],
  ['a data section of a string', Buffer.from('005375a10178', 'hex')],
])('%s is refused', (_name, bytes) => {
  expect(() => new EventDecoder().decode(bytes, 0, bytes.length)).toThrow(/malformed/);
});
