// Goal: what a dead letter keeps can be read again as it was, or is known not to be whole.
import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { eventOfPayload, keptPayload } from '../../../shared/task/dead-letter-payload';

const bytesMax = 1024 * 1024;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('the payload of a dead letter', () => {
  it.each([
    ['a small event', { id: 1 }],
    ['an event that needs gzip', { id: 2, text: 'x'.repeat(500_000) }],
    ['a text that begins as gzip does', '\u001f\u008b'],
  ])('gives %s back for its redrive', (_name, value) => {
    const { bytes, note } = keptPayload(json(value), bytesMax);
    expect(note).toBe('');
    expect(eventOfPayload(bytes)).toEqual({ ok: true, value });
  });

  it('is not compressed twice where the message came compressed', () => {
    const message = gzipSync(randomBytes(600_000));
    const { bytes } = keptPayload(message, bytesMax);
    expect(gunzipSync(bytes)).toHaveLength(600_000);
    expect(Buffer.from(bytes).equals(message)).toBe(true);
  });

  it.each([
    ['gzip that is damaged', gzipSync('{"id":1}').subarray(0, 12)],
    ['gzip of far more than an event', gzipSync(Buffer.alloc(80 * 1024 * 1024, ' '))],
  ])('is known to be none where it is %s', (_name, bytes) => {
    expect(eventOfPayload(bytes)).toBeUndefined();
  });

  it('is known not to be whole where only its beginning fits', () => {
    const event = json({ text: randomBytes(2_000_000).toString('base64') });
    const { bytes, note } = keptPayload(event, bytesMax);
    expect([bytes.byteLength, note]).toEqual([65_536, expect.stringContaining('are kept')]);
    expect(eventOfPayload(bytes)).toBeUndefined();
  });
});
