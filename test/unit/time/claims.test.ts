// Goal: a claim of idleness is true whatever happens while it is made, and nothing is said twice.
import { MemoryAppendStore, MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import { decodeEnvelope, type ClaimsEnvelope } from '../../../shared/delivery/exchange/envelope';
import {
  claimIdle,
  type ClaimCandidate,
  type ClaimedExchange,
} from '../../../shared/task/claimant';
import type { RestFacts } from '../../../shared/time/claims';

const incarnation = '000000000000007';

/** Three source partitions that end somewhere, and an exchange of two partitions. */
class ClaimWorld {
  readonly ends = [4, 9, 0];
  /** What happens while tasks are asked, and while ends are read again. */
  meanwhile: () => void = () => undefined;
  readonly sent: { partition: number; claims: ClaimsEnvelope }[] = [];
  readonly appends = new MemoryAppendStore();
  readonly objects = new MemoryObjectStore();
  consumers = 2;
  readonly #exchange: ClaimedExchange;

  constructor() {
    const described = (count: () => number) => ({
      describe: async () => ({
        createdAtMs: 7,
        partitionIds: Array.from({ length: count() }, (_, id) => String(id)),
      }),
      bounds: async (partition: string) => ({
        firstSequenceNumber: 0,
        lastSequenceNumber: (this.ends[Number(partition)] ?? 0) - 1,
        isEmpty: this.ends[Number(partition)] === 0,
      }),
      read: async () => [],
    });
    this.#exchange = {
      ...{ hub: 'exchange', topology: 'claimed', feeders: ['in'] },
      consumer: { stage: 'bars', hub: described(() => this.consumers) },
      sources: [{ stage: 'in', hub: described(() => this.ends.length) }],
    };
  }

  /** A task that has read its partition up to a number. */
  task(partition: number, read: number, own: Partial<RestFacts> = {}): ClaimCandidate {
    return {
      ...{ stage: 'in', partition: String(partition), epoch: own.epoch ?? 3 },
      rest: async () => {
        this.meanwhile();
        return { epoch: 3, cursor: [incarnation, read, 0], state: 'rests', ...own };
      },
    };
  }

  claim(...candidates: readonly ClaimCandidate[]): Promise<number> {
    const world = {
      appends: this.appends,
      objects: this.objects,
      telemetry: { emit: () => undefined },
      sender: {
        partitionCount: async () => this.consumers,
        send: async ({
          bodies,
          partition,
        }: {
          bodies: readonly Uint8Array[];
          partition: number;
        }) => {
          for (const body of bodies) {
            const claims = decodeEnvelope(body);
            if (claims.kind === 'claims') this.sent.push({ partition, claims });
          }
        },
      },
    };
    return claimIdle(world, this.#exchange, { topologyVersion: 'v1', candidates });
  }
}

it('one message to each partition of the exchange carries all claims of a survey', async () => {
  const world = new ClaimWorld();
  expect(await world.claim(world.task(0, 4), world.task(1, 9), world.task(2, 0))).toBe(3);
  expect(world.sent.map(({ partition }) => partition).sort()).toEqual([0, 1]);
  expect(world.sent[0]?.claims).toMatchObject({
    topologyVersion: 'v1',
    ends: {
      'in/0': [incarnation, 4, 0],
      'in/1': [incarnation, 9, 0],
      'in/2': [incarnation, 0, 0],
    },
    claims: [
      { stage: 'in', partition: '0', epoch: 3, cursor: [incarnation, 4, 0] },
      { stage: 'in', partition: '1', epoch: 3, cursor: [incarnation, 9, 0] },
      { stage: 'in', partition: '2', epoch: 3, cursor: [incarnation, 0, 0] },
    ],
  });
});

it('says of the others where they ended before the tasks were asked', async () => {
  const world = new ClaimWorld();
  world.meanwhile = () => {
    world.ends[1] = 50;
  };
  await world.claim(world.task(0, 4));
  expect(world.sent[0]?.claims.ends['in/1']).toEqual([incarnation, 9, 0]);
});

it('does not claim a partition that moves while it is asked', async () => {
  const world = new ClaimWorld();
  world.meanwhile = () => {
    world.ends[0] = 5;
  };
  expect(await world.claim(world.task(0, 4), world.task(0, 5))).toBe(0);
  expect(world.sent).toEqual([]);
});

it('does not claim a partition that is not read to its end', async () => {
  const world = new ClaimWorld();
  expect(await world.claim(world.task(0, 3))).toBe(0);
  expect(world.sent).toEqual([]);
});

it('does not claim for a task of a former life of the hub', async () => {
  const world = new ClaimWorld();
  expect(await world.claim(world.task(0, 4, { cursor: ['000000000000001', 4, 0] }))).toBe(0);
});

it('is said again to an exchange whose hub was promoted: it may have been lost with the region', async () => {
  const world = new ClaimWorld();
  expect(await world.claim(world.task(0, 4))).toBe(1);
  expect(await world.claim(world.task(0, 4))).toBe(0);
  await world.appends.create(`commits/claimed/v1/bars/${incarnation}x0001/1/00000000`);
  expect(await world.claim(world.task(0, 4))).toBe(1);
});

describe('what consumers have been told', () => {
  async function told(): Promise<ClaimWorld> {
    const world = new ClaimWorld();
    await world.claim(world.task(0, 4));
    world.sent.length = 0;
    return world;
  }

  it('is not said again, by whomever', async () => {
    const world = await told();
    expect(await world.claim(world.task(0, 4))).toBe(0);
    expect(world.sent).toEqual([]);
  });

  it('is said anew when another partition has moved', async () => {
    const world = await told();
    world.ends[1] = 10;
    expect(await world.claim(world.task(0, 4))).toBe(1);
  });

  it('is said anew of another life of its log', async () => {
    const world = await told();
    expect(await world.claim(world.task(0, 4, { epoch: 4 }))).toBe(1);
  });

  it('is said anew when the exchange has more partitions', async () => {
    const world = await told();
    world.consumers = 3;
    expect(await world.claim(world.task(0, 4))).toBe(1);
    expect(world.sent).toHaveLength(3);
  });

  it('is said again where nobody could know that it was sent', async () => {
    const world = new ClaimWorld();
    const put = world.objects.put.bind(world.objects);
    world.objects.put = async () => Promise.reject(new Error('it died'));
    await expect(world.claim(world.task(0, 4))).rejects.toThrow('it died');
    world.objects.put = put;
    expect(await world.claim(world.task(0, 4))).toBe(1);
  });
});

it('a task whose results are still to come is not claimed, nor asked for ever', async () => {
  const world = new ClaimWorld();
  let asked = 0;
  world.meanwhile = () => {
    asked += 1;
  };
  for (let time = 0; time < 3; time += 1) {
    expect(await world.claim(world.task(0, 4, { state: 'awaited' }))).toBe(0);
    world.ends[1] = (world.ends[1] ?? 0) + 1;
  }
  expect(world.sent).toEqual([]);
  expect(asked).toBe(1);
});
