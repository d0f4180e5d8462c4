import { versionWriterPrefix } from '../../commit-log/names';
import { TaskLog } from '../../commit-log/task-log';
import type { Bequest } from '../../commit-log/task-log-options';
import { versionBeginningName } from '../../model/control-names';
import { emptySummary, type TaskSummary } from '../../model/commit';
import { StreamError } from '../../model/errors';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import { Delivery, type DeliveryServices } from '../../task/delivery';
import { TaskState } from '../../task/task-state';
import { logsOfVersion } from './open-state';
import type { PlanEntry } from './plan-store';

/** Each try is lost to a worker that has just appended. */
const triesMax = 50;

/** Where the task of a former version stopped, and what was open in it. */
export interface EndedTask {
  readonly stage: string;
  readonly incarnation: string;
  readonly partition: string;
  /** As its last commit left it; null: it has none. */
  readonly summary: TaskSummary | null;
  /** Keys that were open, by node: given up. */
  readonly open: Readonly<Record<string, number>>;
}

/**
 * Where a version begins: behind the last commits of the one before. Made once, by whoever is first, when no log
 * of the former version can be appended to any more and all that they owed has left.
 */
export interface VersionBeginning {
  readonly format: 1;
  readonly topology: string;
  readonly version: string;
  /** The version that ended. */
  readonly after: string;
  /** Births of all tasks of this version: later than any before. */
  readonly epoch: number;
  readonly atMs: number;
  readonly tasks: readonly EndedTask[];
}

/** Null: the version has not begun. */
export async function readBeginning(
  objects: Pick<DeliveryServices['objects'], 'get'>,
  { topology, version }: { readonly topology: string; readonly version: string },
): Promise<VersionBeginning | null> {
  const bytes = await objects.get(versionBeginningName(topology, version));
  if (bytes === undefined) return null;
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as VersionBeginning;
}

/**
 * Ends every log of a version: what it owes leaves, then it is sealed for ever, and what is open is counted.
 * Repeatable, by any number of processes at once: a sealed log says the same to all.
 *
 * @param former the last plan of the version that ends: it knows where what the logs owe goes
 */
export async function endVersion(
  services: DeliveryServices,
  former: PlanEntry,
  next: string,
): Promise<readonly EndedTask[]> {
  const newest = new Map<string, EndedTask>();
  for (const path of await logsOfVersion(services.appends, former)) {
    const plan = former.stages.find(({ name }) => name === path.stage);
    if (plan === undefined) continue;
    const ended = await endTask(services, { plan, path, former, next });
    // Names sort by age: the newest life of a task is the one that carries on.
    if (ended !== null) newest.set(`${path.stage}/${path.partition}`, ended);
  }
  return Array.from(newest.values());
}

interface Ending {
  readonly plan: StagePlan;
  readonly path: TaskAddress;
  readonly former: PlanEntry;
  readonly next: string;
}

async function endTask(services: DeliveryServices, ending: Ending): Promise<EndedTask | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await endOnce(services, ending);
    } catch (error) {
      const isLost = error instanceof StreamError && error.code === 'STREAM_COMMIT_CONTENDED';
      if (!isLost || attempt >= triesMax) throw error;
    }
  }
}

async function endOnce(
  services: DeliveryServices,
  { former, next, path, plan }: Ending,
): Promise<EndedTask | null> {
  const { appends, clock, faultPoint, limits, objects, telemetry } = services;
  const log = await TaskLog.open({
    ...{ appends, objects, clock, path, faultPoint, telemetry },
    ...{ writer: `${versionWriterPrefix}${next}`, limits: limits.log, inherited: null },
  });
  const loaded = await log.load();
  const state = await TaskState.fromBase(plan, loaded, services);
  for (const record of loaded.records) state.take(record);
  while (log.needsRoll) {
    await log.finishRoll(state.summary, null);
    for (const record of await log.catchUp()) state.take(record);
  }
  const delivery = new Delivery({ address: path, plan, state, services });
  await delivery.sendOutbox();
  await delivery.flushAll();
  await faultPoint('version.before-seal');
  await log.seal();
  await faultPoint('version.after-seal');
  const nodes = former.document.nodes.filter(
    ({ fingerprint, kind, stages }) =>
      stages.includes(path.stage) && fingerprint !== null && kind !== 'keyBy',
  );
  const open = nodes
    .map(({ name }) => [name, state.keyed.keysOf(name)] as const)
    .filter(([, keys]) => keys > 0);
  const { incarnation, partition, stage } = path;
  return { stage, incarnation, partition, summary: state.summary, open: Object.fromEntries(open) };
}

/** The beginning of a version, made where nobody has made it yet. */
export async function beginVersion(
  services: DeliveryServices,
  entry: Pick<PlanEntry, 'topology' | 'version'>,
  former: PlanEntry,
): Promise<VersionBeginning> {
  const { topology, version } = entry;
  const known = await readBeginning(services.objects, entry);
  if (known !== null) return known;
  const tasks = await endVersion(services, former, version);
  const births = tasks.map(({ summary }) => (summary?.epoch ?? 0) + 1);
  const nowMs = services.clock.nowMs();
  const beginning: VersionBeginning = {
    ...{ format: 1, topology, version, after: former.version, tasks },
    ...{ epoch: Math.max(nowMs, ...births), atMs: nowMs },
  };
  await services.faultPoint('version.before-beginning');
  const bytes = Buffer.from(JSON.stringify(beginning));
  const name = versionBeginningName(topology, version);
  await services.objects.putIfAbsent(name, bytes);
  await services.faultPoint('version.after-beginning');
  // Whoever was first: all go by one.
  return (await readBeginning(services.objects, entry)) ?? beginning;
}

/**
 * What a task of the version begins with: the place where the former one stopped, its totals, and nothing of its
 * state or time. Null: the former version had no such task, or its hub is another one now.
 */
export function bequestOf(
  { epoch, tasks }: VersionBeginning,
  { incarnation, partition, stage }: TaskAddress,
  plan: StagePlan,
): Bequest | null {
  const former = tasks.find((task) => task.stage === stage && task.partition === partition);
  const summary = former?.summary ?? null;
  if (summary === null) return null;
  const { commit, cursor, deadLetters, late, ledger } = summary;
  const isSameHub = former?.incarnation === incarnation;
  return new TaskState(plan).bequest({
    ...emptySummary,
    ...{ commit, deadLetters, late, ledger, epoch, outboxConfirmedThrough: commit },
    cursor: isSameHub ? cursor : null,
  });
}

/** How much a beginning gave up: keys, over all tasks, by `<stage>/<node>`. */
export function givenUpIn({
  tasks,
}: Pick<VersionBeginning, 'tasks'>): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { open, stage } of tasks) {
    for (const [node, keys] of Object.entries(open)) {
      const name = `${stage}/${node}`;
      sums[name] = (sums[name] ?? 0) + keys;
    }
  }
  return sums;
}
