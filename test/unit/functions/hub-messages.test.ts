// Goal: both shapes of sequence numbers, times without a zone, and a clear error for a wrong host.
import type { InvocationContext } from '@azure/functions';
import { hubMessages } from '../../../functions/hub-messages';

const context = (triggerMetadata: Record<string, unknown>): InvocationContext =>
  ({ triggerMetadata }) as unknown as InvocationContext;

const metadata = {
  partitionContext: { partitionId: '3' },
  enqueuedTimeUtcArray: ['2026-01-02T03:04:05.678', '2026-01-02T03:04:05.678Z'],
};

describe('hubMessages', () => {
  it.each([
    ['numbers', [7, 4_294_967_303]],
    [
      'longs in parts',
      [
        { low: 7, high: 0, unsigned: false },
        { low: 7, high: 1, unsigned: false },
      ],
    ],
  ])('reads sequence numbers that come as %s', (_name, sequenceNumberArray) => {
    const bodies = [Buffer.from('a'), 'b'];
    const { messages, partition } = hubMessages(
      bodies,
      context({ ...metadata, sequenceNumberArray }),
    );
    expect(partition).toBe('3');
    expect(messages.map(({ sequenceNumber }) => sequenceNumber)).toEqual([7, 4_294_967_303]);
    expect(messages.map(({ body }) => Buffer.from(body).toString())).toEqual(['a', 'b']);
    const utc = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    expect(messages.map(({ enqueuedTimeMs }) => enqueuedTimeMs)).toEqual([utc, utc]);
  });

  it('refuses a batch whose metadata does not fit it', () => {
    expect(() =>
      hubMessages([Buffer.from('a')], context({ ...metadata, sequenceNumberArray: [1] })),
    ).toThrow(/1 bodies/);
    expect(() =>
      hubMessages(
        [Buffer.from('a'), Buffer.from('b')],
        context({ ...metadata, sequenceNumberArray: [1] }),
      ),
    ).toThrow(/cardinality to many/);
  });
});
