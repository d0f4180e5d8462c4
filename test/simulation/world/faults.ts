import { Random } from './random';

/** Every kind of fault, with its rows of the fault matrix (F1 to F26) and what happens. */
export const faultKinds = {
  crash: ['F1 F19', 'a worker is killed at whatever it waits for, and another starts'],
  pause: ['F2', 'a worker stands still past its lease and wakes up: a zombie'],
  frozen: ['F2', 'a worker, or one call of it, stands still for minutes; the rest goes on'],
  overlap: ['F3 F17', 'two workers take one partition at once, leases are stolen'],
  'clock-skew': ['F4', 'a worker’s clock is up to five minutes off, and steps back'],
  'clock-jump': ['F4', 'everybody’s time goes on by minutes at once'],
  'store-refused': ['F5', 'a call to a store fails and did nothing (500, 503)'],
  'store-outage': ['F5 F15', 'all calls to the stores fail for a while'],
  'store-conflict': ['F6', 'an append is refused (412) although nobody wrote'],
  'store-lost-response': ['F7', 'a call to a store is carried out, its answer is lost'],
  'store-late-arrival': ['F7 F8', 'a call to a store times out and is carried out later'],
  'store-slow': ['F8', 'a call to a store takes up to 30 s'],
  'hub-busy': ['F10', 'a call to a hub fails (server busy, link detached)'],
  'send-lost': ['F10', 'a send fails; none or some of its messages were stored'],
  'send-lost-response': ['F7 F10', 'a send is stored, its answer is lost'],
  'send-late-arrival': ['F7 F10', 'a send times out and is stored later'],
  'delivery-duplicate': ['F11', 'the host hands a batch over again'],
  'delivery-rewind': ['F11 F21', 'the host’s checkpoint is lost or goes far back'],
  'delivery-skip': ['F21', 'the host’s checkpoint goes past messages it never handed over'],
  'deadline-short': ['F19', 'batches end in the middle: their deadline is near'],
  'out-of-order': ['F12', 'events beyond the allowed lateness, and from the far future'],
  early: ['F12', 'events dated far ahead of when they were enqueued'],
  idle: ['F13 F25', 'partitions go quiet: ticks move the watermark'],
  burst: ['F13 F25', 'nothing comes for a while, then half an hour of events at once'],
  poison: ['F14', 'bad bytes, wrong schema, throwing user code'],
  'poison-killing': ['F14', 'events whose processing kills the worker'],
  retention: ['F20', 'a source hub drops messages that were not read'],
  'hub-recreated': ['F20', 'a source hub is deleted and created again'],
  'exchange-loss': ['F20', 'an exchange hub drops messages, or is created again'],
  'sink-down': ['F15', 'all commits to tables, or all sends to exchanges, fail for a while'],
  'partition-abandoned': ['F3 F19', 'the host hands a partition to nobody any more'],
  'supervisor-killed': ['F16', 'the supervisor is ended in the middle of what it does'],
  'supervisor-stuck': ['F18', 'nothing reaches the supervisor any more'],
  'supervisor-twice': ['F16', 'another supervisor runs beside the first'],
  'activity-twice': ['F17', 'two workers run one activity at the same time'],
  'piece-fails': ['F14', 'a piece of a job throws'],
  'piece-hangs': ['F24', 'a piece of a job shows no life for longer than its lease'],
  'build-same': [
    'F22',
    'builds take turns that differ in the order of lines and in stateless code',
  ],
  'build-operator': ['F22', 'a newer build with an operator more takes turns with the older'],
  'build-sink': ['F22', 'a newer build with a sink more takes turns with the older'],
  'build-column': ['F22', 'a newer build with a nullable column more takes turns with the older'],
  'build-field': ['F22', 'a newer build with an optional field more takes turns with the older'],
  'build-window': ['F22', 'a newer build with a keyed window more takes turns with the older'],
  'build-undecided': ['F22', 'a newer build needs a decision: it waits, the older goes on'],
  'version-new': ['F22', 'somebody begins a new version where the former one stops'],
  'version-drained': ['F22', 'somebody drains a version, and begins the next one'],
  'version-removed': ['F22', 'somebody removes the topology, and begins it again'],
  'version-rolled-back': ['F22', 'somebody gives the topology back to an older build'],
} as const satisfies Record<string, readonly [matrix: string, meaning: string]>;

export type FaultKind = keyof typeof faultKinds;

export const allFaultKinds = Object.keys(faultKinds) as FaultKind[];

/** Kinds for which a run offers few occasions: so many times more runs bring them. */
const seldomKinds: Partial<Record<FaultKind, number>> = {
  'build-operator': 2,
  'build-sink': 2,
  'build-column': 2,
  'build-field': 2,
  'build-window': 2,
  'delivery-skip': 2,
  'exchange-loss': 2,
  idle: 4,
  'piece-fails': 2,
  'piece-hangs': 2,
  'poison-killing': 2,
  retention: 2,
  'send-late-arrival': 2,
  'send-lost': 2,
  'send-lost-response': 2,
};

/** What people decide, and the builds that it is about. */
function isOfDecisions(kind: FaultKind): boolean {
  return kind.startsWith('version-') || kind.startsWith('build-');
}

/**
 * Which kinds of fault a seed brings: from none to most of them. Decisions come in seeds of their own, with
 * builds and with deaths of whoever gives them.
 */
export function kindsOf(seed: number): FaultKind[] {
  const random = new Random(seed ^ 0x5eed);
  if (random.chance(0.3)) {
    return allFaultKinds.filter((kind) => isOfDecisions(kind) && random.chance(0.6));
  }
  const share = random.pick([0, 0.2, 0.35, 0.55, 0.8]);
  return allFaultKinds.filter((kind) => {
    const isChosen = random.chance(Math.min(0.95, share * (seldomKinds[kind] ?? 1)));
    return isChosen && !kind.startsWith('version-');
  });
}

/** Decides which calls go wrong in one run, and counts what did. */
export class Faults {
  readonly kinds: ReadonlySet<FaultKind>;
  /** How often each kind struck. */
  readonly struck = new Map<FaultKind, number>();
  /** From then on nothing goes wrong any more: everything must come right. */
  isHealed = false;
  readonly #random: Random;
  readonly #intensity: number;

  constructor(options: { random: Random; kinds: ReadonlySet<FaultKind>; intensity: number }) {
    this.#random = options.random;
    this.kinds = options.kinds;
    this.#intensity = options.intensity;
  }

  /** True where this call is to go wrong so; `share` of the calls, if the run has that kind. */
  strikes(kind: FaultKind, share: number): boolean {
    if (this.isHealed || !this.kinds.has(kind)) return false;
    if (!this.#random.chance(share * this.#intensity)) return false;
    this.count(kind);
    return true;
  }

  count(kind: FaultKind): void {
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
  }
}
