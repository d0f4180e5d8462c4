import type { HeaderRecord, PlanRecord, TaskPlan } from '../../../shared/model/commit';
import { changesBetween, type ChangeKind, type SimulatedBuild } from '../world/builds';
import { holds, same } from './invariants';

/** A plan as the store holds it: read without the engine's own reader. */
interface PlanText {
  readonly number: number;
  readonly version: string;
  readonly hash: string;
  readonly build: { readonly id: string; readonly builtAtMs: number };
  readonly change: string;
  readonly refusedBuilds: readonly string[];
  readonly isRemoved: boolean;
}

const decisions = new Set(['new-version', 'begin', 'remove', 'rollback']);

export interface PlanModelOptions {
  readonly buildOf: (writer: string) => SimulatedBuild | undefined;
  readonly builds: readonly SimulatedBuild[];
  /** A log's next commit is another build's than its last: what is different. */
  readonly onTurn: (changes: readonly ChangeKind[]) => void;
}

/** Which build may commit: what the store says, and what each log has heard of it. */
export class PlanModel {
  readonly #options: PlanModelOptions;
  readonly #texts: PlanText[] = [];
  /** Builds that had to wait for a decision at some time. */
  readonly #undecided = new Set<string>();

  constructor(options: PlanModelOptions) {
    this.#options = options;
  }

  get newest(): PlanText | undefined {
    return this.#texts.at(-1);
  }

  /** True where this build has, or had, to wait until somebody decides. */
  mayWait({ identity }: SimulatedBuild): boolean {
    return this.#undecided.has(identity.id);
  }

  onPut(name: string, bytes: Uint8Array): void {
    if (!/^control\/[^/]+\/plan\//.test(name)) return;
    const text = JSON.parse(Buffer.from(bytes).toString()) as PlanText;
    const { build, change, hash, number, version } = text;
    const before = this.newest;
    const what = `plan ${number} (${change} by ${build.id})`;
    same(number, this.#texts.length + 1, 'I5', `${what}: its number`);
    if (before === undefined) same([change, version], ['first', 'v1'], 'I5', what);
    else if (!decisions.has(change)) this.#mayFollow(text, before);
    holds(
      this.#options.builds.some((one) => one.own.hash === hash),
      'I5',
      () => `${what}: nobody has it`,
    );
    this.#texts.push(text);
    for (const one of this.#options.builds) {
      const isWaiting = isUndecided(this.#options.builds, one, text);
      if (text.isRemoved || isWaiting) this.#undecided.add(one.identity.id);
    }
  }

  /** Without a decision: by a newer build, whose change can take turns. */
  #mayFollow({ build, change, number, refusedBuilds, version }: PlanText, before: PlanText): void {
    const what = `plan ${number} (${change} by ${build.id})`;
    same(change, 'compatible', 'I5', `${what}: why it changed`);
    same(version, before.version, 'I5', `${what}: its version`);
    holds(build.builtAtMs > before.build.builtAtMs, 'I5', () => `${what} is moved back`);
    holds(!before.isRemoved, 'I5', () => `${what}: the topology was removed`);
    holds(!refusedBuilds.includes(build.id), 'I5', () => `${what} was rolled back`);
    const own = this.#options.builds.find(({ identity }) => identity.id === build.id);
    const isUndecidedNow = own !== undefined && isUndecided(this.#options.builds, own, before);
    holds(!isUndecidedNow, 'I5', () => `${what}: nobody has decided`);
  }

  /** A log hears of a plan for the first time: of one that there is, by a build that has it. */
  heardBy(log: LogPlan, { plan, writer }: PlanRecord, version: string): void {
    const what = `${log.name}: plan ${plan.number} by ${writer}`;
    holds(plan.number > log.number, 'I5', () => `${what} after ${log.number}`);
    this.#isTrue(plan, version, what);
    this.#isBuiltBy(writer, plan, what);
    log.plan = plan;
  }

  /** A generation begins under the plan of the one before it. */
  carriedOn(log: LogPlan, { plan }: HeaderRecord, version: string): void {
    if (log.plan !== null) same(plan, log.plan, 'I5', `${log.name}: plan of a generation`);
    if (plan !== null) this.#isTrue(plan, version, `${log.name}: plan of its header`);
    log.plan = plan;
  }

  /** What a worker appends, it appends under the plan that its build has. */
  mayAppend(log: LogPlan, writer: string): SimulatedBuild {
    const what = `${log.name}: by ${writer}`;
    const { plan } = log;
    holds(plan !== null, 'I5', () => `${what}, before any plan`);
    const build = this.#isBuiltBy(writer, plan, what);
    const former = log.build;
    log.build = build;
    if (former !== null && former !== build) {
      this.#options.onTurn(changesBetween(former.shape, build.shape));
    }
    return build;
  }

  #isTrue({ hash, number }: TaskPlan, version: string, what: string): void {
    const text = this.#texts[number - 1];
    holds(text !== undefined, 'I4', () => `${what}: there is no such plan`);
    same([hash, version], [text.hash, text.version], 'I5', what);
  }

  #isBuiltBy(writer: string, { number }: TaskPlan, what: string): SimulatedBuild {
    const build = this.#options.buildOf(writer);
    const text = this.#texts[number - 1];
    holds(build !== undefined && text !== undefined, 'I5', () => `${what}: who is that?`);
    same(build.own.hash, text.hash, 'I5', `${what} of ${build.identity.id}: superseded, its plan`);
    const isRefused = text.refusedBuilds.includes(build.identity.id);
    holds(!isRefused, 'I5', () => `${what} of ${build.identity.id}, which was rolled back`);
    return build;
  }
}

/** What one log has heard of plans. */
export class LogPlan {
  readonly name: string;
  plan: TaskPlan | null = null;
  /** Of the last commit. */
  build: SimulatedBuild | null = null;

  constructor(name: string) {
    this.name = name;
  }

  get number(): number {
    return this.plan?.number ?? 0;
  }
}

/** A newer build cannot go on from that plan by itself. */
function isUndecided(
  builds: readonly SimulatedBuild[],
  build: SimulatedBuild,
  from: PlanText,
): boolean {
  const before = builds.find(({ own }) => own.hash === from.hash);
  if (before === undefined || build.identity.builtAtMs <= from.build.builtAtMs) return false;
  return changesBetween(before.shape, build.shape).includes('build-undecided');
}
