// Goal: the texts of a message's events are those that its events are read from, one for one.
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { encodeEnvelope, envelopeEventBytes } from '../../../shared/delivery/exchange/envelope';
import { envelopeHead } from '../../support/envelopes';
import { openMessage } from '../../../shared/ingest/decode';

/** Every event's text gives that event. */
function check(body: Uint8Array): void {
  const events = openMessage(body);
  for (let index = 0; index < events.length; index += 1) {
    const event = events.at(index);
    if (!event.ok) continue;
    expect(JSON.parse(Buffer.from(events.bytesOf(index)).toString())).toEqual(event.value);
  }
}

const bodies = fc.oneof(
  fc.json(),
  fc.array(fc.json()).map((texts) => `[${texts.join(' ,\n')}]`),
  fc.array(fc.oneof(fc.json(), fc.constantFrom('', ' ', '\r', '{', ']'))).map((l) => l.join('\n')),
  fc.array(fc.jsonValue()).map((values) => ` ${JSON.stringify(values, null, 2)} `),
);

it('the texts of events are where the events are', () => {
  fc.assert(
    fc.property(bodies, fc.boolean(), (text, isCompressed) => {
      check(isCompressed ? gzipSync(text) : Buffer.from(text));
    }),
    { numRuns: 2_000 },
  );
  for (const text of ['[]', '[ ]', '[[],[[]]]', '["[,\\"]\\\\",{"a,]":"}"}]', '\ufeff[1,2]', '']) {
    check(Buffer.from(text));
  }
});

it('the texts of an envelope are those that its producer wrote', () => {
  const texts = fc.array(fc.jsonValue().map((value) => JSON.stringify(['key', 1, value])));
  fc.assert(
    fc.property(texts, (written) => {
      const body = encodeEnvelope(envelopeHead(), written);
      const bytesOf = envelopeEventBytes(body);
      written.forEach((text, index) => {
        expect(Buffer.from(bytesOf(index)).toString()).toBe(text);
      });
    }),
  );
});
