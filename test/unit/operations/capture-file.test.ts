// Goal: files of Event Hubs Capture are read as the Avro specification has them, or refused.
// Method: files made byte by byte here, not by the library that reads them.
import { readCaptureFile } from '../../../shared/operations/backfill/capture-file';
import { captureFile, captureRecord } from '../../support/capture-file';

const bodies = async (file: Buffer): Promise<string[]> =>
  (await readCaptureFile('a.avro', file)).map(({ body }) => Buffer.from(body).toString());

describe('a file of Event Hubs Capture', () => {
  it.each(['null', 'deflate'] as const)('gives its bodies in order (codec %s)', async (codec) => {
    const records = Array.from({ length: 300 }, (_, index) =>
      captureRecord({ time: '2026-11-26T10:00:00', body: `{"id":${index}}`, largest: 2n ** 62n }),
    );
    expect(await bodies(captureFile(records, codec))).toEqual(
      records.map((_record, index) => `{"id":${index}}`),
    );
  });

  it('may be empty, and a message may have no body', async () => {
    expect(await bodies(captureFile([], 'deflate'))).toEqual([]);
    expect(await bodies(captureFile([captureRecord({ time: '', body: null })], 'null'))).toEqual([
      '',
    ]);
  });

  it.each([
    ['11/26/2026 10:00:00 AM', Date.UTC(2026, 10, 26, 10)],
    ['2026-11-26T10:00:00.5Z', Date.UTC(2026, 10, 26, 10, 0, 0, 500)],
    ['2026-11-26T10:00:00', Date.UTC(2026, 10, 26, 10)],
    ['yesterday', null],
  ])('says when a message came: %s', async (time, expected) => {
    const file = captureFile([captureRecord({ time, body: '{}' })], 'null');
    const [message] = await readCaptureFile('a.avro', file);
    expect(message?.enqueuedTimeMs).toBe(expected);
  });

  const whole = captureFile([captureRecord({ time: '', body: '{}' })], 'deflate');
  it.each<[string, Buffer]>([
    ['no Avro', Buffer.from('{"id":1}\n')],
    ['nothing', Buffer.alloc(0)],
    ['cut off in its header', whole.subarray(0, 60)],
    ['cut off in a block', whole.subarray(0, whole.length - 20)],
    ['damaged', Buffer.from(whole).fill(0xff, whole.length - 24, whole.length - 17)],
    ['another record', captureFile([], 'null', '{"type":"record","name":"Other","fields":[]}')],
  ])('is refused when it is %s', async (_name, file) => {
    await expect(readCaptureFile('hub/0/a.avro', file)).rejects.toThrow(
      /hub\/0\/a\.avro cannot be read as an Avro file of Event Hubs Capture: ./,
    );
  });
});
