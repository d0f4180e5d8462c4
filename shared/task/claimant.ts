import { claimJournalName } from '../model/control-names';
import { newestLives } from '../commit-log/incarnations';
import { encodeClaims, type IdleClaim } from '../delivery/exchange/envelope';
import type { AppendStore, HubReader, HubSender, ObjectStore, Telemetry } from '../model/ports';
import type { StagePlan } from '../model/program';
import { isFence, type Fence } from '../model/superseded';
import { claimsOf, isClaimCurrent, type ClaimJournal, type RestFacts } from '../time/claims';
import type { Position, Positions } from '../time/position';
import type { StageServices } from './services';
import type { TaskAddress } from '../model/task-address';

/** A task of a source stage that may be idle. */
export interface ClaimCandidate {
  readonly stage: string;
  readonly partition: string;
  /** Of its log; 0: it has none. */
  readonly epoch: number;
  /** Null: it has something to do, or is not quiet. */
  readonly rest: () => Promise<RestFacts | null>;
}

export interface ClaimWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly sender: HubSender;
  readonly telemetry: Telemetry;
}

/** An exchange with the source stages whose partitions feed it, over however many stages. */
export interface ClaimedExchange {
  readonly hub: string;
  readonly topology: string;
  /** The source stages that send to it: their partitions can be idle. */
  readonly feeders: readonly string[];
  /** The stage that reads it, and how. */
  readonly consumer: { readonly stage: string; readonly hub: HubReader };
  readonly sources: readonly { readonly stage: string; readonly hub: HubReader }[];
}

/** What was claimed, to one version of the topology, and to the lives of the exchange's partitions. */
interface JournalDocument {
  readonly format: 1;
  readonly consumer: string;
  readonly claims: ClaimJournal;
}

/** What the exchange as it is now has been told. */
export async function readClaimJournal(
  world: Pick<ClaimWorld, 'appends' | 'objects'>,
  exchange: Pick<ClaimedExchange, 'consumer' | 'hub' | 'topology'>,
  version: string,
): Promise<ClaimJournal> {
  const bytes = await world.objects.get(claimJournalName(exchange));
  if (bytes === undefined) return {};
  const document = JSON.parse(Buffer.from(bytes).toString('utf8')) as JournalDocument;
  return document.consumer === (await consumerOf(world, exchange, version)) ? document.claims : {};
}

/** A claim may be lost with the hub that it was sent to: created again or promoted, it has to be told again. */
async function consumerOf(
  { appends }: Pick<ClaimWorld, 'appends'>,
  { consumer: { hub, stage }, topology }: Pick<ClaimedExchange, 'consumer' | 'topology'>,
  version: string,
): Promise<string> {
  const description = await hub.describe();
  const lifeOf = await newestLives(appends, { topology, version, stage }, description);
  return `${version}/${description.partitionIds.map(lifeOf).join(',')}`;
}

interface Ends {
  /** Of every source partition the next position that an event of it will have. */
  readonly ends: Positions;
  /** Those that hold nothing: what was in them unread retention has eaten. */
  readonly empty: ReadonlySet<string>;
}

async function readEnds(
  { appends }: Pick<ClaimWorld, 'appends'>,
  exchange: Pick<ClaimedExchange, 'sources' | 'topology'>,
  version: string,
): Promise<Ends> {
  const ends: Record<string, Position> = {};
  const empty = new Set<string>();
  await Promise.all(
    exchange.sources.map(async ({ hub, stage }) => {
      const description = await hub.describe();
      const place = { topology: exchange.topology, version, stage };
      const lifeOf = await newestLives(appends, place, description);
      await Promise.all(
        description.partitionIds.map(async (partition) => {
          const { isEmpty, lastSequenceNumber } = await hub.bounds(partition);
          const name = `${stage}/${partition}`;
          ends[name] = [lifeOf(partition), lastSequenceNumber + 1, 0];
          if (isEmpty) empty.add(name);
        }),
      );
    }),
  );
  return { ends, empty };
}

/**
 * Claims idle partitions of one exchange: one message to each of its partitions carries all claims. Anyone may do
 * it, at any time and twice: a claim says what was so when it was made. What is known to consumers already is
 * not said again, so that an idle stack is silent.
 * @returns how many partitions were claimed
 */
export async function claimIdle(
  world: ClaimWorld,
  exchange: ClaimedExchange,
  request: {
    readonly topologyVersion: string;
    readonly candidates: readonly ClaimCandidate[];
  },
): Promise<number> {
  const { topologyVersion } = request;
  const journal = await readClaimJournal(world, exchange, topologyVersion);
  const { empty, ends } = await readEnds(world, exchange, topologyVersion);
  const facts = new Map<string, RestFacts>();
  for (const { epoch, partition, rest, stage } of request.candidates) {
    const name = `${stage}/${partition}`;
    const end = ends[name];
    if (end === undefined || isClaimCurrent(journal, { name, epoch }, ends)) continue;
    const found = await rest();
    if (found === null || found.cursor[0] !== end[0]) continue;
    facts.set(name, empty.has(name) ? { ...found, cursor: end } : found);
  }
  if (facts.size === 0) return 0;
  const found = claimsOf({
    ends,
    facts,
    endsAgain: (await readEnds(world, exchange, topologyVersion)).ends,
  });
  if (found.size === 0) return 0;
  const claims: IdleClaim[] = [];
  for (const [name, { cursor, epoch, state }] of found) {
    const slash = name.lastIndexOf('/');
    const [stage, partition] = [name.slice(0, slash), name.slice(slash + 1)];
    if (state === 'rests') claims.push({ stage, partition, epoch, cursor });
  }
  if (claims.length > 0) {
    const body = encodeClaims({ topologyVersion, ends, claims });
    const count = await world.sender.partitionCount(exchange.hub);
    await Promise.all(
      Array.from({ length: count }, (_, partition) =>
        world.sender.send({ hub: exchange.hub, partition, bodies: [body] }),
      ),
    );
    world.telemetry.emit('info', 'exchange.claimed-idle', {
      topology: exchange.topology,
      exchange: exchange.hub,
      partitions: claims.map(({ partition, stage }) => `${stage}/${partition}`),
    });
  }
  // After they were sent: who dies between the two leaves them to be sent again.
  const document: JournalDocument = {
    format: 1,
    consumer: await consumerOf(world, exchange, topologyVersion),
    claims: { ...journal, ...Object.fromEntries(found) },
  };
  await world.objects.put(claimJournalName(exchange), Buffer.from(JSON.stringify(document)));
  return claims.length;
}

/** The exchanges that source stages feed, with all sources that do so over however many stages. */
export function claimedExchanges(
  stages: readonly { readonly plan: StagePlan; readonly hub: HubReader }[],
): ClaimedExchange[] {
  const producersOf = (hub: string) =>
    stages.filter(({ plan }) => plan.exchanges.some((exchange) => exchange.hub === hub));
  const sourcesOf = (hub: string, seen: ReadonlySet<string>): ClaimedExchange['sources'] =>
    producersOf(hub).flatMap(({ hub: reader, plan }) => {
      if (plan.input.kind === 'source') return [{ stage: plan.name, hub: reader }];
      const next = plan.input.hub;
      return seen.has(next) ? [] : sourcesOf(next, new Set([...seen, next]));
    });
  const exchanges = new Map<string, ClaimedExchange>();
  for (const { plan } of stages) {
    if (plan.input.kind !== 'source') continue;
    for (const { hub } of plan.exchanges) {
      const found = new Map(sourcesOf(hub, new Set([hub])).map((one) => [one.stage, one]));
      const reader = stages.find(({ plan: { input } }) => input.hub === hub);
      if (reader === undefined) continue;
      const consumer = { stage: reader.plan.name, hub: reader.hub };
      const sources = Array.from(found.values());
      const feeders = producersOf(hub)
        .filter((producer) => producer.plan.input.kind === 'source')
        .map((producer) => producer.plan.name);
      exchanges.set(hub, { hub, topology: plan.topology, feeders, consumer, sources });
    }
  }
  return Array.from(exchanges.values());
}

/** What of a task a claim needs: see Task. */
export interface ClaimableTask {
  readonly address: TaskAddress;
  readonly epoch: number;
  restFacts(): Promise<RestFacts | null>;
}

/** Claims idle partitions among the tasks that one process looks after. */
export class IdleClaims {
  readonly #exchanges: readonly (ClaimedExchange & { readonly services: StageServices })[];
  readonly #claimedAtMs = new Map<string, number>();
  readonly #onFence: (topology: string, fence: Fence) => void;

  /** @param onFence a task's log has gone on under another plan */
  constructor(
    stages: readonly { readonly plan: StagePlan; readonly services: StageServices }[],
    onFence: (topology: string, fence: Fence) => void,
  ) {
    this.#onFence = onFence;
    const served = stages.map(({ plan, services }) => ({ plan, hub: services.hub }));
    this.#exchanges = claimedExchanges(served).flatMap((exchange) => {
      // Who feeds an exchange may send to it.
      const feeds = stages.find(({ plan }) =>
        plan.exchanges.some(({ hub }) => hub === exchange.hub),
      );
      return feeds === undefined ? [] : [{ ...exchange, services: feeds.services }];
    });
  }

  /**
   * Claims those of the tasks that are idle, for every exchange that they feed.
   * @param request.isPeriodic it is called often: exchanges that had their turn a moment ago are passed over
   */
  async claim(
    tasks: readonly ClaimableTask[],
    request: { readonly isPeriodic: boolean },
  ): Promise<void> {
    for (const { services, ...exchange } of this.#exchanges) {
      const own = tasks.filter(
        ({ address }) =>
          address.topology === exchange.topology && exchange.feeders.includes(address.stage),
      );
      const [first] = own;
      if (first === undefined) continue;
      const nowMs = services.clock.nowMs();
      const sinceMs = nowMs - (this.#claimedAtMs.get(exchange.hub) ?? -Infinity);
      // A clock that was set back must not keep a worker from claiming.
      const isTooSoon = sinceMs >= 0 && sinceMs < services.limits.claimEveryMs;
      if (request.isPeriodic && isTooSoon) continue;
      this.#claimedAtMs.set(exchange.hub, nowMs);
      await claimIdle(services, exchange, {
        topologyVersion: first.address.version,
        candidates: own.map((task) => ({
          stage: task.address.stage,
          partition: task.address.partition,
          epoch: task.epoch,
          rest: () => this.#restFacts(task),
        })),
      });
    }
  }

  /** A task whose log has gone on under another plan has nothing to claim here, and keeps no other from it. */
  async #restFacts(task: ClaimableTask): Promise<RestFacts | null> {
    try {
      return await task.restFacts();
    } catch (error) {
      if (!isFence(error)) throw error;
      this.#onFence(task.address.topology, error);
      return null;
    }
  }
}
