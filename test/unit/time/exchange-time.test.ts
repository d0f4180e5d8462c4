// Goal: time behind an exchange waits for whom it must, and for nobody else.
import type { EnvelopeHead } from '../../../shared/delivery/exchange/envelope';
import { Producers } from '../../../shared/delivery/exchange/producers';
import { TaskStores } from '../../../shared/state/task-stores';
import { endOfTimeMs } from '../../../shared/time/exchange-time';
import type { Position, Positions } from '../../../shared/time/position';
import { envelopeHead } from '../../support/envelopes';

const at = (sequenceNumber: number, incarnation = '1'): Position => [
  incarnation,
  sequenceNumber,
  0,
];

/** The consumer of one exchange, told of time alone. */
class Consumer {
  readonly #producers = new Producers(new TaskStores(), [{ stage: 'in', port: 0 }]);
  #commit = 0;

  /** A producer has read up to a position, and says how far time is. */
  say(
    partition: string,
    watermarkMs: number | null,
    own: Partial<EnvelopeHead> & { readonly read?: number } = {},
  ): number | null {
    const { read = 0, ...head } = own;
    this.#commit += 1;
    const through = { [`in/${partition}`]: at(read, own.incarnation) };
    const all = envelopeHead({ stage: 'in', producers: 2, commit: this.#commit, through, ...head });
    this.#producers.take({ ...all, partition, watermarkMs, kind: 'events', events: [] }, 0);
    return this.watermarkMs;
  }

  claim(partition: string, cursor: Position, ends: Positions, epoch = 1): number | null {
    const claims = [{ stage: 'in', partition, epoch, cursor }];
    this.#producers.claim({ kind: 'claims', topologyVersion: 'v1', ends, claims });
    return this.watermarkMs;
  }

  get watermarkMs(): number | null {
    return this.#producers.watermarkMs();
  }
}

it('waits until every producer has spoken, then is the minimum', () => {
  const consumer = new Consumer();
  expect(consumer.say('0', 10)).toBeNull();
  expect(consumer.say('1', null)).toBeNull();
  expect(consumer.say('1', 7)).toBe(7);
});

it('is not over for an idle partition because a drain has reached another', () => {
  const consumer = new Consumer();
  consumer.say('0', 10, { read: 2 });
  consumer.say('1', 40, { read: 5 });
  expect(consumer.claim('0', at(2), { 'in/0': at(2), 'in/1': at(6) })).toBe(40);
  expect(consumer.say('1', endOfTimeMs, { read: 6 })).toBeLessThan(endOfTimeMs);
  expect(consumer.say('0', 50, { read: 3 })).toBe(50);
  expect(consumer.say('0', endOfTimeMs, { read: 3 })).toBe(endOfTimeMs);
});

describe('the count of producers', () => {
  it('is waited for from the first message on that says more', () => {
    const consumer = new Consumer();
    consumer.say('0', 10);
    expect(consumer.say('1', 10)).toBe(10);
    expect(consumer.say('0', 20, { producers: 3 })).toBeNull();
    // An older build, and messages that were under way, say less.
    expect(consumer.say('1', 20, { producers: 2, planNumber: 0 })).toBeNull();
    expect(consumer.say('1', 20, { producers: 2 })).toBeNull();
    expect(consumer.say('2', 15, { producers: 3 })).toBe(15);
  });

  it('falls with a newer life of the hub, and with a newer build', () => {
    const consumer = new Consumer();
    expect(consumer.say('0', 10, { producers: 3 })).toBeNull();
    expect(consumer.say('0', 11, { producers: 1, incarnation: '2' })).toBe(11);
    const other = new Consumer();
    expect(other.say('0', 10, { producers: 3 })).toBeNull();
    expect(other.say('0', 11, { producers: 1, planNumber: 2 })).toBe(11);
  });
});

describe('a producer that has finished', () => {
  it('is ignored in the minimum, and does not drag time to its end', () => {
    const consumer = new Consumer();
    consumer.say('0', 10);
    consumer.say('1', 5);
    expect(consumer.say('1', endOfTimeMs, { isFinished: true })).toBe(10);
    // Claimed to be idle, the other one is the only one whose time counts.
    const ends = { 'in/0': at(0) };
    expect(consumer.claim('0', at(0), ends)).toBe(10);
    expect(consumer.say('0', 20, { read: 3 })).toBe(20);
  });

  it('ends time only when all the others have finished too', () => {
    const consumer = new Consumer();
    consumer.say('0', 10);
    expect(consumer.say('1', endOfTimeMs, { isFinished: true })).toBe(10);
    expect(consumer.say('0', endOfTimeMs, { isFinished: true })).toBe(endOfTimeMs);
  });

  it('holds time back again when its partition comes to life anew', () => {
    const consumer = new Consumer();
    consumer.say('0', 10);
    consumer.say('1', 5);
    consumer.say('1', endOfTimeMs, { isFinished: true });
    expect(consumer.say('0', 20)).toBe(20);
    expect(consumer.say('1', 12, { incarnation: '2' })).toBe(12);
  });
});

describe('a partition that is claimed to be idle', () => {
  const ends = { 'in/0': at(5), 'in/1': at(2) };

  /** 0 has read 5 events and 1 has read 2, as the claim about 1 has it. */
  function claimed(): Consumer {
    const consumer = new Consumer();
    consumer.say('0', 50, { read: 5 });
    consumer.say('1', 20, { read: 2 });
    expect(consumer.claim('1', at(2), ends)).toBe(50);
    return consumer;
  }

  it('is left out of the minimum', () => {
    expect(claimed().watermarkMs).toBe(50);
  });

  it('is waited for again as soon as another one is heard of beyond its end', () => {
    const consumer = claimed();
    expect(consumer.say('0', 60, { read: 6 })).toBe(20);
    expect(consumer.claim('1', at(2), { ...ends, 'in/0': at(6) })).toBe(60);
  });

  it('is waited for again as soon as it speaks, and an older claim does not change that', () => {
    const consumer = claimed();
    expect(consumer.say('1', 22, { read: 3 })).toBe(22);
    expect(consumer.claim('1', at(2), ends)).toBe(22);
    expect(consumer.claim('1', at(3), { ...ends, 'in/1': at(3) })).toBe(50);
  });

  it('may have had time moved on in it by its own ticks', () => {
    expect(claimed().say('1', 30, { read: 2 })).toBe(50);
  });

  it('was never heard of: the claim speaks for it', () => {
    const consumer = new Consumer();
    expect(consumer.say('0', 50, { read: 5 })).toBeNull();
    expect(consumer.claim('1', at(0), { ...ends, 'in/1': at(0) }, 0)).toBe(50);
  });

  it('and so are all: the latest of their watermarks counts', () => {
    const consumer = claimed();
    expect(consumer.claim('0', at(5), ends)).toBe(50);
  });

  it('of a former life of its hub or of its log is not meant', () => {
    const consumer = new Consumer();
    consumer.say('0', 50, { read: 5 });
    consumer.say('1', 20, { read: 1, incarnation: '2', epoch: 3 });
    expect(consumer.claim('1', at(9, '1'), ends, 3)).toBe(20);
    expect(consumer.claim('1', at(9, '2'), ends, 2)).toBe(20);
    const now = { ...ends, 'in/1': at(1, '2') };
    expect(consumer.claim('1', at(1, '2'), now, 3)).toBe(50);
  });

  it('is not left out by a claim that a later one has been sent after', () => {
    const consumer = claimed();
    const later = { ...ends, 'in/0': at(9) };
    consumer.claim('1', at(2), later);
    consumer.claim('1', at(2), ends);
    expect(consumer.say('0', 90, { read: 9 })).toBe(90);
  });
});

it('a claim is void also where another stage tells of input beyond the ends', () => {
  const stages = ['in', 'sums'].map((stage) => ({ stage, port: 0 }));
  const producers = new Producers(new TaskStores(), stages);
  let commit = 0;
  const say = (stage: string, partition: string, watermarkMs: number, through: Positions): void => {
    const head = envelopeHead({ stage, partition, producers: stage === 'in' ? 2 : 1, through });
    commit += 1;
    producers.take({ ...head, commit, watermarkMs, kind: 'events', events: [] }, 0);
  };
  say('in', '0', 50, { 'in/0': at(5) });
  say('in', '1', 20, { 'in/1': at(2) });
  say('sums', '0', 40, { 'in/0': at(4), 'in/1': at(2) });
  const claims = [{ stage: 'in', partition: '1', epoch: 1, cursor: at(2) }];
  const ends = { 'in/0': at(5), 'in/1': at(2) };
  producers.claim({ kind: 'claims', topologyVersion: 'v1', ends, claims });
  expect(producers.watermarkMs()).toBe(40);
  say('sums', '0', 60, { 'in/0': at(6), 'in/1': at(2) });
  expect(producers.watermarkMs()).toBe(20);
});
