// Goal: an outbox re-sent, doubled or cut anywhere is admitted exactly once, and a loss is declared.
import fc from 'fast-check';
import { decodeEnvelope } from '../../../shared/delivery/exchange/envelope';
import { Outbox } from '../../../shared/delivery/exchange/outbox';
import { partitionOfKey } from '../../../shared/delivery/exchange/partitioner';
import { Producers } from '../../../shared/delivery/exchange/producers';
import { KeyedState } from '../../../shared/state/keyed-state';
import type { OutboxMessage } from '../../../shared/model/commit';

const sender = { producer: 'shape/0', epoch: 1, producers: 1 };
const quiet = { watermarkMs: 5, idle: false, broadcast: false };

function anOutbox(partitionCount: number): { outbox: Outbox; state: KeyedState } {
  const state = new KeyedState();
  return { outbox: new Outbox({ hub: 'flights-exchange' }, partitionCount, state), state };
}

/** Takes a message in as a consumer does and says which values were new. */
function receive(producers: Producers, message: OutboxMessage, upTo = Infinity): unknown[] {
  const envelope = decodeEnvelope(message.body);
  const { seen, stale } = producers.admit(envelope);
  if (stale) return [];
  const end = Math.min(upTo, envelope.events.length);
  producers.take(envelope, end);
  return envelope.events.slice(seen, end).map((event) => event[2]);
}

describe('partitionOfKey', () => {
  it('never changes: keyed state lives where it points', () => {
    const partitions = ['', 'ATL', 'ORD', 'žluť', '🛫'].map((key) => partitionOfKey(key, 32));
    expect(partitions).toEqual([1, 1, 4, 26, 4]);
    expect(partitionOfKey('ATL', 1)).toBe(0);
  });

  it('spreads keys evenly', () => {
    const counts = new Array<number>(8).fill(0);
    for (let key = 0; key < 80_000; key += 1) {
      const partition = partitionOfKey(`key-${key}`, 8);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(1_000);
  });
});

describe('an exchange', () => {
  it('halts when its hub was given more partitions, which would part keys from their state', () => {
    const { outbox, state } = anOutbox(4);
    outbox.add({ key: 'k', eventTimeMs: 1, value: 1 });
    outbox.pack(sender, { ...quiet, commit: 1 });
    state.settle();
    const grown = new Outbox({ hub: 'flights-exchange' }, 8, state);
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
          const producers = new Producers(new KeyedState());
          const received: unknown[] = [];
          let sent = 0;
          batchSizes.forEach((size, batch) => {
            for (let index = 0; index < size; index += 1) {
              outbox.add({ key: 'k', eventTimeMs: 1, value: `${sent}${'x'.repeat(60)}` });
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
    for (const value of [1, 2, 3]) outbox.add({ key: 'k', eventTimeMs: 1, value });
    const [message] = outbox.pack(sender, { ...quiet, commit: 1 });
    const producers = new Producers(new KeyedState());
    expect(receive(producers, message!, 2)).toEqual([1, 2]);
    expect(producers.watermarkMs()).toBeNull();
    expect(receive(producers, message!)).toEqual([3]);
    expect(producers.watermarkMs()).toBe(5);
  });

  it('declares what a vanished hub took with it', () => {
    const { outbox } = anOutbox(1);
    outbox.add({ key: 'k', eventTimeMs: 1, value: 1 });
    outbox.pack(sender, { ...quiet, commit: 1 });
    outbox.clear();
    outbox.add({ key: 'k', eventTimeMs: 1, value: 2 });
    const [second] = outbox.pack(sender, { ...quiet, commit: 2 });
    const producers = new Producers(new KeyedState());
    expect(producers.admit(decodeEnvelope(second!.body))).toMatchObject({ missing: 1, seen: 0 });
  });

  it('starts over with a producer whose log began anew, and drops what its former life sends', () => {
    const producers = new Producers(new KeyedState());
    const life = (epoch: number, value: string): OutboxMessage => {
      const { outbox } = anOutbox(1);
      outbox.add({ key: 'k', eventTimeMs: 1, value });
      return outbox.pack({ ...sender, epoch }, { ...quiet, commit: 1 })[0]!;
    };
    expect(receive(producers, life(1, 'first life'))).toEqual(['first life']);
    expect(receive(producers, life(2, 'second life'))).toEqual(['second life']);
    expect(receive(producers, life(1, 'first life'))).toEqual([]);
  });

  it('undoes the events of one that failed half-way', () => {
    const { outbox } = anOutbox(4);
    outbox.add({ key: 'a', eventTimeMs: 1, value: 'kept' });
    const mark = outbox.mark();
    for (const key of ['a', 'b', 'c', 'd', 'e'])
      outbox.add({ key, eventTimeMs: 1, value: 'undone' });
    outbox.rollback(mark);
    const values = outbox
      .pack(sender, { ...quiet, commit: 1 })
      .flatMap((message) => decodeEnvelope(message.body).events.map((event) => event[2]));
    expect(values).toEqual(['kept']);
  });
});

describe('the watermark over producers', () => {
  const say = (
    producers: Producers,
    name: string,
    watermarkMs: number | null,
    idle = false,
  ): void =>
    producers.take(
      {
        version: 1,
        producer: name,
        epoch: 1,
        producers: 2,
        commit: 1,
        firstOrdinal: 1,
        watermarkMs,
        idle,
        events: [],
      },
      0,
    );

  it('waits until every producer has spoken, then is the minimum', () => {
    const producers = new Producers(new KeyedState());
    say(producers, 'a', 10);
    expect(producers.watermarkMs()).toBeNull();
    say(producers, 'b', 7);
    expect(producers.watermarkMs()).toBe(7);
  });

  it('is not held back by an idle producer, and is the latest when all are idle', () => {
    const producers = new Producers(new KeyedState());
    say(producers, 'a', 10);
    say(producers, 'b', null, true);
    expect(producers.watermarkMs()).toBe(10);
    say(producers, 'a', 12, true);
    expect(producers.watermarkMs()).toBe(12);
  });
});

describe('decodeEnvelope', () => {
  it.each(['', 'x', 'null', '{}', '{"version":2}', '{"version":1,"producer":"a"}'])(
    'refuses %j with a reason',
    (text) => {
      expect(() => decodeEnvelope(Buffer.from(text))).toThrow(/STREAM_EVENT_UNDECODABLE/);
    },
  );
});
