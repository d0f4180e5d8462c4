// Goal: a full batch goes at once, a partial one after its linger, in order, never more than asked for.
import { batchDueInMs, EventBuffer } from '../../../local/functions-host/hub-reading/event-buffer';
import type { HubEvent } from '../../../local/functions-host/hub-reading/hub-event';

function anEvent(sequenceNumber: number): HubEvent {
  return {
    body: Buffer.alloc(0),
    sequenceNumber,
    offset: String(sequenceNumber),
    enqueuedTimeUtc: new Date(0),
    partitionKey: null,
  };
}

describe('a batch is due', () => {
  const waiting = { events: 1, maxBatchSize: 10, sinceMs: 100, nowMs: 105, lingerMs: 20 };

  it.each<[string, Partial<typeof waiting>, number | null]>([
    ['never while nothing waits', { events: 0 }, null],
    ['after the linger of the first event', {}, 15],
    ['at once when it is full', { events: 10 }, 0],
    ['at once when more than a batch waits', { events: 25 }, 0],
    ['at once when its first event has waited long enough', { nowMs: 120 }, 0],
    ['at once when its first event has waited longer', { nowMs: 500 }, 0],
  ])('%s', (_when, change, expected) => {
    expect(batchDueInMs({ ...waiting, ...change })).toBe(expected);
  });
});

describe('the buffer', () => {
  const numbers = (events: readonly HubEvent[]): number[] =>
    events.map(({ sequenceNumber }) => sequenceNumber);

  it('gives batches of the largest size, in order, and the rest when its time has come', async () => {
    let nowMs = 0;
    const buffer = new EventBuffer({ maxBatchSize: 3, lingerMs: 20, nowMs: () => nowMs });
    for (let number = 0; number < 7; number += 1) buffer.push(anEvent(number));
    expect(numbers(await buffer.next())).toEqual([0, 1, 2]);
    expect(buffer.size).toBe(4);
    expect(numbers(await buffer.next())).toEqual([3, 4, 5]);
    nowMs = 20;
    expect(numbers(await buffer.next())).toEqual([6]);
    expect(buffer.size).toBe(0);
  });

  it('wakes who waits when the batch gets full', async () => {
    const buffer = new EventBuffer({ maxBatchSize: 2, lingerMs: 1_000_000, nowMs: () => 0 });
    const batch = buffer.next();
    buffer.push(anEvent(0));
    await Promise.resolve();
    buffer.push(anEvent(1));
    expect(numbers(await batch)).toEqual([0, 1]);
  });

  it('drops what it holds and lets who waits go when it is closed', async () => {
    const buffer = new EventBuffer({ maxBatchSize: 2, lingerMs: 1_000_000, nowMs: () => 0 });
    const batch = buffer.next();
    buffer.push(anEvent(0));
    buffer.close();
    expect(await batch).toEqual([]);
    expect(await buffer.next()).toEqual([]);
  });
});
