// Goal: owners end with fair shares, one claim at a time, and only what is free or too much is taken.
import fc from 'fast-check';
import { balance, type Holding } from '../../../local/functions-host/hub-reading/balancing';

const expirationMs = 10_000;
const nowMs = 1_000_000;

function holding(partitionId: number, ownerId: string, ageMs = 0): Holding {
  return { partitionId: String(partitionId), ownerId, lastModifiedTimeInMs: nowMs - ageMs };
}

function step(ownerId: string, partitions: number, holdings: readonly Holding[], random = 0) {
  return balance({
    partitionIds: Array.from({ length: partitions }, (_, index) => String(index)),
    holdings,
    ownerId,
    expirationMs,
    nowMs,
    random: () => random,
  });
}

describe('a balancing step', () => {
  it('claims one free partition when nobody holds any', () => {
    expect(step('a', 4, [])).toEqual({ ours: [], claim: '0' });
    expect(step('a', 4, [], 0.99).claim).toBe('3');
  });

  it('claims nothing in a hub without partitions', () => {
    expect(step('a', 0, []).claim).toBeNull();
  });

  it('goes on to the last partition when it is alone', () => {
    const three = [0, 1, 2].map((partition) => holding(partition, 'a'));
    expect(step('a', 4, three)).toEqual({ ours: three, claim: '3' });
  });

  it('takes expired and given-back partitions before those of others', () => {
    const holdings = [holding(0, 'b', expirationMs), holding(1, ''), holding(2, 'b')];
    expect(step('a', 3, holdings, 0).claim).toBe('0');
    expect(step('a', 3, holdings, 0.99).claim).toBe('1');
  });

  it('steals one from an owner with more than its share', () => {
    const holdings = [0, 1, 2, 3].map((partition) => holding(partition, 'b'));
    expect(step('a', 4, holdings).claim).toBe('0');
  });

  it('leaves an owner alone whose one partition more is needed by nobody', () => {
    const holdings = [holding(0, 'a'), holding(1, 'b'), holding(2, 'b')];
    expect(step('a', 3, holdings).claim).toBeNull();
  });

  it('lets the owner that has least take what is free', () => {
    const holdings = [holding(0, 'a'), holding(1, 'a'), holding(2, 'b')];
    expect(step('a', 5, holdings).claim).toBeNull();
    expect(step('b', 5, holdings).claim).toBe('3');
    expect(step('a', 4, holdings).claim).toBeNull();
    expect(step('b', 4, holdings).claim).toBe('3');
  });

  it('keeps what is its own though it expired, as long as nobody took it', () => {
    const own = holding(0, 'a', 2 * expirationMs);
    expect(step('a', 1, [own])).toEqual({ ours: [own], claim: null });
  });
});

test('owners that take turns reach fair shares and then rest, wherever they began', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 20, maxLength: 20 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (partitions, owners, begin, numbers) => {
        const names = Array.from({ length: owners }, (_, index) => `owner-${index}`);
        let holdings = begin.slice(0, partitions).flatMap((owner, partition) => {
          if (owner >= owners + 1) return [];
          return [holding(partition, names[owner] ?? '')];
        });
        let restingSince = 0;
        for (let turn = 0; restingSince < owners; turn += 1) {
          if (turn > 100 * owners) throw new Error('they never rest');
          const ownerId = names[turn % owners] ?? '';
          const { claim } = balance({
            partitionIds: Array.from({ length: partitions }, (_, index) => String(index)),
            holdings,
            ownerId,
            expirationMs,
            nowMs,
            random: () => numbers.next().value,
          });
          restingSince = claim === null ? restingSince + 1 : 0;
          if (claim === null) continue;
          holdings = [
            ...holdings.filter(({ partitionId }) => partitionId !== claim),
            holding(Number(claim), ownerId),
          ];
        }
        const counts = names.map(
          (name) => holdings.filter(({ ownerId }) => ownerId === name).length,
        );
        expect(counts.reduce((total, count) => total + count, 0)).toBe(partitions);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
