// Goal: a message of an exchange is read as it was sent, or refused with a reason: whatever befell its bytes.
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  decodeEnvelope,
  encodeClaims,
  encodeEnvelope,
  envelopeEventBytes,
  type EnvelopeHead,
} from '../../../shared/delivery/exchange/envelope';
import { envelopeHead } from '../../support/envelopes';

const text = JSON.stringify(['sk', 1, { amount: 3 }, 7]);

/** A message of sections of one's own. */
function framed(...sections: readonly [kind: number, flags: number, text: string][]): Buffer {
  const parts = sections.flatMap(([kind, flags, own]) => {
    const head = Buffer.from([kind, flags, 0, 0, 0, 0]);
    head.writeUInt32LE(Buffer.byteLength(own), 2);
    return [head, Buffer.from(own)];
  });
  const body = Buffer.concat(parts);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(body));
  return Buffer.concat([Buffer.from('MLRX'), Buffer.from([2]), crc, body]);
}

const head = JSON.stringify(envelopeHead());

it('is read as it was sent', () => {
  const sent = envelopeHead({
    ...{ port: 1, planNumber: 7, producers: 4, commit: 9, firstOrdinal: 12, watermarkMs: -5 },
    ...{ through: { 'shape/0': ['000000000001000', 41, 2] }, isFinished: true },
  });
  expect(decodeEnvelope(encodeEnvelope(sent, [text, text]))).toEqual({
    ...sent,
    kind: 'events',
    events: [JSON.parse(text), JSON.parse(text)] as unknown,
  });
  const claims = {
    topologyVersion: 'v1',
    ends: { 'shape/0': ['1', 8, 0], 'shape/1': ['1', 3, 0] },
    claims: [{ stage: 'shape', partition: '1', epoch: 2, cursor: ['1', 3, 0] }],
  } as const;
  expect(decodeEnvelope(encodeClaims(claims))).toEqual({ kind: 'claims', ...claims });
});

it('is refused when any of its bytes is another, and when it is cut anywhere', () => {
  const sound = Buffer.from(encodeEnvelope(envelopeHead(), [text]));
  fc.assert(
    fc.property(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const harmed = Buffer.from(sound);
      harmed[at] = (harmed[at] ?? 0) ^ change;
      expect(() => decodeEnvelope(harmed)).toThrow('STREAM_EVENT_UNDECODABLE: exchange message');
      expect(() => decodeEnvelope(sound.subarray(0, at))).toThrow('STREAM_EVENT_UNDECODABLE');
    }),
  );
});

it('with a section that this build does not know is read, unless that must be understood', () => {
  const known = [
    [1, 1, head],
    [2, 1, `[${text}]`],
  ] as const;
  const newer = framed(...known.map((one) => [...one] as [number, number, string]), [9, 0, 'new']);
  expect(decodeEnvelope(newer)).toMatchObject({ kind: 'events', stage: 'shape' });
  expect(Buffer.from(envelopeEventBytes(newer)(0)).toString()).toBe(text);
  const must = framed([1, 1, head], [2, 1, '[]'], [9, 1, 'new']);
  expect(() => decodeEnvelope(must)).toThrow(
    'a section of kind 9 is unknown: a newer build sent it',
  );
});

it.each<[string, Uint8Array, string]>([
  ['nothing', Buffer.from(''), 'its 0 bytes do not begin as one'],
  ['a message of format 1', Buffer.from('{"version":1}'), 'format 1 is not read any more'],
  ['another version', Buffer.from('MLRX\u0003\0\0\0\0'), 'version 3 is unknown (2 is known)'],
  ['no head', framed([2, 1, '[]']), 'it has no head'],
  ['two heads', framed([1, 1, head], [1, 1, head]), 'it has two sections of kind 1'],
  ['no events', framed([1, 1, head]), 'it has no list of events'],
  ['what is no JSON', framed([1, 1, '{'], [2, 1, '[]']), 'a section is not JSON'],
  ['an event without time', framed([1, 1, head], [2, 1, '[["k"]]']), 'an event is not [key, time'],
  ['claims of nothing', framed([3, 1, '{"claims":[{}]}']), 'its claims of idleness are none'],
])('refuses %s', (_what, body, reason) => {
  expect(() => decodeEnvelope(body)).toThrow(/STREAM_EVENT_UNDECODABLE: exchange message/);
  expect(() => decodeEnvelope(body)).toThrow(reason);
});

it.each<Partial<Record<keyof EnvelopeHead, unknown>>>([
  { epoch: 'x' },
  { producers: 1.5 },
  { watermarkMs: 'late' },
  { partition: 3 },
  { isFinished: null },
  { through: { 'shape/0': 7 } },
])('refuses a head with %j', (own) => {
  const wrong = framed([1, 1, JSON.stringify({ ...envelopeHead(), ...own })], [2, 1, '[]']);
  expect(() => decodeEnvelope(wrong)).toThrow(new RegExp(Object.keys(own).join()));
});
