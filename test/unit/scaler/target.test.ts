// Goal: instances as the platform's target-based scaling counts them.
// Method: the published examples as data, then properties over any hub and any backlog.
import fc from 'fast-check';
import {
  combineTargets,
  desiredInstances,
  nextInstanceCount,
  noMemory,
  platformPace,
  targetInstances,
  unprocessedEvents,
  validInstanceCounts,
  voteOfTrigger,
  type PartitionPosition,
  type TriggerMemory,
} from '../../../local/scaler/target';

const partition = (position: Partial<PartitionPosition>): PartitionPosition => ({
  isEmpty: false,
  beginningSequenceNumber: 0,
  lastSequenceNumber: 0,
  checkpointSequenceNumber: null,
  ...position,
});

describe('unprocessedEvents', () => {
  it.each([
    ['an empty partition', { isEmpty: true, lastSequenceNumber: -1 }, 0],
    ['an emptied one with a checkpoint', { isEmpty: true, lastSequenceNumber: 90 }, 0],
    ['the first event, no checkpoint', {}, 1],
    ['no checkpoint', { beginningSequenceNumber: 0, lastSequenceNumber: 99 }, 100],
    ['no checkpoint, trimmed', { beginningSequenceNumber: 40, lastSequenceNumber: 99 }, 60],
    ['a checkpoint', { lastSequenceNumber: 99, checkpointSequenceNumber: 79 }, 20],
    ['everything processed', { lastSequenceNumber: 99, checkpointSequenceNumber: 99 }, 0],
    [
      'a checkpoint of a hub that was created again',
      { lastSequenceNumber: 9, checkpointSequenceNumber: 99 },
      0,
    ],
  ])('%s', (_name, position, expected) => {
    expect(unprocessedEvents(partition(position))).toBe(expected);
  });
});

describe('validInstanceCounts', () => {
  it.each([
    [1, [0, 1]],
    [4, [0, 1, 2, 4]],
    [8, [0, 1, 2, 3, 4, 8]],
    [10, [0, 1, 2, 3, 4, 5, 10]],
    [5, [0, 1, 2, 3, 5]],
    [20, [0, 1, 2, 3, 4, 5, 7, 10, 20]],
    [32, [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 32]],
  ])('of %d partitions', (partitions, expected) => {
    expect(validInstanceCounts(partitions)).toEqual(expected);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %d partitions', (partitions) => {
    expect(() => validInstanceCounts(partitions)).toThrow(/whole number of at least 1/);
  });
});

describe('targets', () => {
  it.each([
    // unprocessed, threshold, partitions, target
    [0, 100, 8, 0],
    [1, 100, 8, 1],
    [100, 100, 8, 1],
    [101, 100, 8, 2],
    [450, 100, 8, 8],
    [10_000, 100, 8, 8],
    [1_000, 1_000, 32, 1],
    [10_000, 1_000, 32, 11],
    [12_000, 1_000, 32, 16],
  ])('%d unprocessed, %d each, %d partitions: %d', (unprocessed, threshold, partitions, target) => {
    expect(targetInstances(desiredInstances(unprocessed, threshold), partitions)).toBe(target);
  });

  it('refuses a threshold of nothing', () => {
    expect(() => desiredInstances(5, 0)).toThrow(/threshold must be a whole number/);
  });

  it('of several functions are those of the neediest', () => {
    expect(combineTargets([2, 8, 3])).toBe(8);
    expect(combineTargets([])).toBe(0);
  });
});

describe('voteOfTrigger', () => {
  const vote = (unprocessed: number, atMs: number, memory: TriggerMemory) =>
    voteOfTrigger({
      unprocessed,
      threshold: 100,
      partitions: 8,
      memory,
      atMs,
      pace: platformPace,
    });

  it('holds scale-in for 180 s after the last scale-out, then lets it go', () => {
    const out = vote(350, 0, noMemory);
    expect(out).toMatchObject({ desired: 4, target: 4, isHeld: false });
    const held = vote(0, 179_999, out.memory);
    expect(held).toMatchObject({ desired: 0, target: 4, isHeld: true });
    expect(vote(0, 180_000, held.memory)).toMatchObject({ target: 0, isHeld: false });
  });

  it('counts the hold from the last of several scale-outs', () => {
    const first = vote(150, 0, noMemory);
    const second = vote(350, 100_000, first.memory);
    expect(vote(0, 200_000, second.memory).target).toBe(4);
    expect(vote(0, 280_000, second.memory).target).toBe(0);
  });

  it('is not put off by a target that stays', () => {
    const first = vote(150, 0, noMemory);
    const same = vote(150, 170_000, first.memory);
    expect(vote(0, 180_000, same.memory).target).toBe(0);
  });
});

describe('nextInstanceCount', () => {
  it.each([
    // current, target, min, max, next
    [0, 8, 0, 100, 4],
    [4, 8, 0, 100, 8],
    [8, 0, 0, 100, 4],
    [1, 3, 0, 100, 3],
    [1, 32, 1, 2, 2],
    [3, 0, 1, 4, 1],
    [2, 2, 0, 100, 2],
  ])('from %d to %d within %d..%d: %d', (current, target, min, max, next) => {
    expect(nextInstanceCount({ current, target, min, max, pace: platformPace })).toBe(next);
  });
});

describe('for any hub', () => {
  const partitions = fc.integer({ min: 1, max: 1_024 });
  const backlog = fc.integer({ min: 0, max: 10_000_000 });
  const threshold = fc.integer({ min: 1, max: 100_000 });

  it('valid counts ascend from 0 to one per partition, and each shares evenly', () => {
    fc.assert(
      fc.property(partitions, (count) => {
        const counts = validInstanceCounts(count);
        expect(counts[0]).toBe(0);
        expect(counts.at(-1)).toBe(count);
        counts.slice(1).forEach((instances, index) => {
          expect(instances).toBeGreaterThan(counts[index] ?? Number.NaN);
          const most = Math.ceil(count / instances);
          // With one instance less, some instance would hold more partitions.
          if (instances > 1) expect(Math.ceil(count / (instances - 1))).toBeGreaterThan(most);
        });
      }),
    );
  });

  it('a target covers what is desired, is valid, and grows with the backlog', () => {
    fc.assert(
      fc.property(partitions, backlog, backlog, threshold, (count, one, other, each) => {
        const target = (events: number) => targetInstances(desiredInstances(events, each), count);
        expect(target(one)).toBeGreaterThanOrEqual(Math.min(count, desiredInstances(one, each)));
        expect(validInstanceCounts(count)).toContain(target(one));
        const [less, more] = one < other ? [one, other] : [other, one];
        expect(target(less)).toBeLessThanOrEqual(target(more));
      }),
    );
  });

  it('no vote goes further than a step, out of the limits, or away from the target', () => {
    const votes = fc.record({
      current: fc.integer({ min: 0, max: 1_000 }),
      target: fc.integer({ min: 0, max: 1_000 }),
      min: fc.integer({ min: 0, max: 10 }),
      max: fc.integer({ min: 10, max: 1_000 }),
    });
    fc.assert(
      fc.property(votes, ({ current, target, min, max }) => {
        const next = nextInstanceCount({ current, target, min, max, pace: platformPace });
        const within = Math.min(max, Math.max(min, target));
        expect(Math.abs(next - current)).toBeLessThanOrEqual(platformPace.stepMax);
        expect(Math.abs(within - next)).toBeLessThanOrEqual(Math.abs(within - current));
        if (current >= min && current <= max) expect(next >= min && next <= max).toBe(true);
      }),
    );
  });

  it('a target falls only when the last rise is 180 s past', () => {
    const steps = fc.array(fc.tuple(backlog, fc.integer({ min: 1_000, max: 120_000 })), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(partitions, threshold, steps, (count, each, backlogs) => {
        let memory = noMemory;
        let atMs = 0;
        let roseAtMs = Number.NEGATIVE_INFINITY;
        for (const [unprocessed, pauseMs] of backlogs) {
          atMs += pauseMs;
          const before = memory.target;
          const vote = voteOfTrigger({
            unprocessed,
            threshold: each,
            partitions: count,
            memory,
            atMs,
            pace: platformPace,
          });
          memory = vote.memory;
          if (memory.target < before) expect(atMs - roseAtMs).toBeGreaterThanOrEqual(180_000);
          if (memory.target > before) roseAtMs = atMs;
        }
      }),
    );
  });
});
