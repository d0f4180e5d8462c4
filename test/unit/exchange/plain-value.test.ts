// Goal: what travels through an exchange arrives as it was, −0 included.
import fc from 'fast-check';
import { assertPlain, plainText } from '../../../shared/model/plain-value';
import { Outbox } from '../../../shared/delivery/exchange/outbox';
import { TaskStores } from '../../../shared/state/task-stores';
import { envelopeHead, eventsOf } from '../../support/envelopes';

it('the text of any plain value is read back as that value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = plainText(value);
      expect(Object.is(JSON.parse(text), value) || typeof value === 'object').toBe(true);
      expect(JSON.parse(text)).toEqual(value);
      if (!assertPlain(value)) expect(text).toBe(JSON.stringify(value));
    }),
  );
});

it.each([
  ['alone', -0],
  ['in an object', { a: 0, b: { c: -0 }, gone: undefined }],
  ['in a list', [1, [-0, 'x', null, true]]],
])('a −0 %s passes an exchange', (_where, value) => {
  const outbox = new Outbox({ hub: 'by-key', port: 0 }, 1, new TaskStores());
  outbox.add({ key: 'k', eventTimeMs: 1, value, hasNegativeZero: assertPlain(value) });
  const [message] = outbox.pack(envelopeHead(), { ...envelopeHead(), broadcast: false });
  const { events } = eventsOf(message?.body ?? new Uint8Array());
  // toEqual tells −0 from 0.
  expect(events).toEqual([['k', 1, JSON.parse(plainText(value))]]);
  expect(events[0]?.[2]).toEqual(value);
});
