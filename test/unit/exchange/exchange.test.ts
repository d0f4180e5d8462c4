// Goal: an outbox re-sent, doubled or cut anywhere is admitted exactly once, and a loss is declared.
import fc from 'fast-check';
import { Outbox, type OutboxSender } from '../../../shared/delivery/exchange/outbox';
import { Producers } from '../../../shared/delivery/exchange/producers';
import { TaskStores } from '../../../shared/state/task-stores';
import { canonicalKey, keyGroupOf, partitionOfGroup } from '../../../shared/model/key';
import type { OutboxMessage } from '../../../shared/model/commit';
import { eventsOf } from '../../support/envelopes';

const stages = [{ stage: 'shape', port: 0 }];
const sender: OutboxSender = {
  ...{ stage: 'shape', partition: '0', epoch: 1, producers: 1, incarnation: '1' },
  ...{ topologyVersion: 'v1', planNumber: 1 },
};
const quiet = { watermarkMs: 5, through: {}, isFinished: false, isIdle: false, broadcast: false };

function anOutbox(partitionCount: number): { outbox: Outbox; state: TaskStores } {
  const state = new TaskStores();
  return { outbox: new Outbox({ hub: 'flights-exchange', port: 0 }, partitionCount, state), state };
}

/** Takes a message in as a consumer does and says which values were new. */
function receive(producers: Producers, message: OutboxMessage, upTo = Infinity): unknown[] {
  const envelope = eventsOf(message.body);
  const { seen, stale } = producers.admit(envelope);
  if (stale) return [];
  const end = Math.min(upTo, envelope.events.length);
  producers.take(envelope, end);
  return envelope.events.slice(seen, end).map((event) => event[2]);
}

describe('an exchange', () => {
  it('halts when its hub was given more partitions, which would part keys from their state', () => {
    const { outbox, state } = anOutbox(4);
    outbox.add({ key: 'sk', eventTimeMs: 1, value: 1 });
    outbox.pack(sender, { ...quiet, commit: 1 });
    state.settle();
    const grown = new Outbox({ hub: 'flights-exchange', port: 0 }, 8, state);
    expect(() => grown.pack(sender, { ...quiet, commit: 2 })).toThrow(
      /STREAM_STATE_MISMATCH: the exchange flights-exchange had 4 partitions and now has 8/,
    );
  });

  it('admits each event once, in order, however often and cut its outbox is re-sent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(3), { maxLength: 12 }),
        (batchSizes, repeats) => {
          const { outbox, state } = anOutbox(1);
          const producers = new Producers(new TaskStores(), stages);
          const received: unknown[] = [];
          let sent = 0;
          batchSizes.forEach((size, batch) => {
            for (let index = 0; index < size; index += 1) {
              outbox.add({ key: 'sk', eventTimeMs: 1, value: `${sent}${'x'.repeat(60)}` });
              sent += 1;
            }
            const messages = outbox.pack(sender, { ...quiet, commit: batch + 1 });
            outbox.clear();
            state.settle();
            const times = 1 + (repeats[batch] ?? 0);
            for (let time = 0; time < times; time += 1) {
              for (const message of messages) received.push(...receive(producers, message));
            }
          });
          expect(received.map((value) => parseInt(String(value), 10))).toEqual(
            Array.from({ length: sent }, (_, index) => index),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes the rest of a message of which a part is in', () => {
    const { outbox } = anOutbox(1);
    for (const value of [1, 2, 3]) outbox.add({ key: 'sk', eventTimeMs: 1, value });
    const [message] = outbox.pack(sender, { ...quiet, commit: 1 });
    const producers = new Producers(new TaskStores(), stages);
    expect(receive(producers, message!, 2)).toEqual([1, 2]);
    expect(producers.watermarkMs()).toBeNull();
    expect(receive(producers, message!)).toEqual([3]);
    expect(producers.watermarkMs()).toBe(5);
  });

  it('declares what a vanished hub took with it', () => {
    const { outbox } = anOutbox(1);
    outbox.add({ key: 'sk', eventTimeMs: 1, value: 1 });
    outbox.pack(sender, { ...quiet, commit: 1 });
    outbox.clear();
    outbox.add({ key: 'sk', eventTimeMs: 1, value: 2 });
    const [second] = outbox.pack(sender, { ...quiet, commit: 2 });
    const producers = new Producers(new TaskStores(), stages);
    expect(producers.admit(eventsOf(second!.body))).toMatchObject({ missing: 1, seen: 0 });
  });

  it('starts over with a producer whose log began anew, and drops what its former life sends', () => {
    const producers = new Producers(new TaskStores(), stages);
    const life = (epoch: number, value: string): OutboxMessage => {
      const { outbox } = anOutbox(1);
      outbox.add({ key: 'sk', eventTimeMs: 1, value });
      return outbox.pack({ ...sender, epoch }, { ...quiet, commit: 1 })[0]!;
    };
    expect(receive(producers, life(1, 'first life'))).toEqual(['first life']);
    expect(receive(producers, life(2, 'second life'))).toEqual(['second life']);
    expect(receive(producers, life(1, 'first life'))).toEqual([]);
  });

  it('undoes the events of one that failed half-way', () => {
    const { outbox } = anOutbox(4);
    outbox.add({ key: 'sa', eventTimeMs: 1, value: 'kept' });
    const mark = outbox.mark();
    for (const key of ['sa', 'sb', 'sc', 'sd', 'se'])
      outbox.add({ key, eventTimeMs: 1, value: 'undone' });
    outbox.rollback(mark);
    const values = outbox
      .pack(sender, { ...quiet, commit: 1 })
      .flatMap((message) => eventsOf(message.body).events.map((event) => event[2]));
    expect(values).toEqual(['kept']);
  });
});

it('an event goes to the partition that holds the group of its key', () => {
  const { outbox } = anOutbox(5);
  const keys = ['ATL', 7, true, null, ['ATL', 7]].map(canonicalKey);
  for (const key of keys) outbox.add({ key, eventTimeMs: 1, value: key });
  const messages = outbox.pack(sender, { ...quiet, commit: 1 });
  for (const { body, partition } of messages) {
    for (const [key] of eventsOf(body).events) {
      expect(partitionOfGroup(keyGroupOf(key), 5)).toBe(partition);
    }
  }
  expect(messages.reduce((sum, { count }) => sum + count, 0)).toBe(keys.length);
});

it('events for two inputs of one stage are numbered apart, and told apart', () => {
  const state = new TaskStores();
  const ports = [0, 1].map((port) => new Outbox({ hub: 'joined', port }, 1, state));
  const producers = new Producers(
    new TaskStores(),
    [0, 1].map((port) => ({ stage: 'shape', port })),
  );
  for (const [port, outbox] of ports.entries()) {
    for (let n = 0; n <= port; n += 1) outbox.add({ key: 'sk', eventTimeMs: 1, value: n });
  }
  const [left, right] = ports.map((outbox) => outbox.pack(sender, { ...quiet, commit: 1 })[0]);
  expect(receive(producers, left!)).toEqual([0]);
  // The other input has not been heard of: its events may still be older.
  expect(producers.watermarkMs()).toBeNull();
  expect(receive(producers, right!)).toEqual([0, 1]);
  expect(producers.watermarkMs()).toBe(5);
  expect(receive(producers, right!)).toEqual([]);
});

describe('the mark of an event', () => {
  it.each([
    ['behind the watermark of its partition travels along', 9, 10, 10],
    ['at it, where no window can refuse the event by it, does not', 10, 10, undefined],
    ['before any watermark does not', 10, -Infinity, undefined],
  ])('%s', (_what, eventTimeMs, markMs, expected) => {
    const { outbox } = anOutbox(1);
    outbox.add({ key: 'sk', eventTimeMs, markMs, value: 1 });
    const [message] = outbox.pack(sender, { ...quiet, commit: 1 });
    expect(eventsOf(message!.body).events[0]?.[3]).toBe(expected);
  });
});
