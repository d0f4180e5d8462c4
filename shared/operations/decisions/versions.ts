import { hubOf } from '../../commit-log/incarnations';
import { listLogs } from '../../commit-log/log-reader';
import { versionWriterPrefix } from '../../commit-log/names';
import { TaskLog } from '../../commit-log/task-log';
import type { Bequest } from '../../commit-log/task-log-options';
import { versionBeginningName } from '../../model/control-names';
import { outboxStorePrefix } from '../../delivery/exchange/outbox';
import { producersStore } from '../../delivery/exchange/producers';
import {
  emptySummary,
  type LetterSettlement,
  type LetterVerdict,
  type TaskSummary,
} from '../../model/commit';
import { StreamError } from '../../model/errors';
import type { StagePlan } from '../../model/program';
import type { TaskAddress } from '../../model/task-address';
import { isLaterVersion, versionBefore } from '../../model/version-name';
import { Delivery, type DeliveryServices } from '../../task/delivery';
import { nodesKept } from '../../task/kept-state';
import { lettersStore } from '../../task/settle-letters';
import { TaskState } from '../../task/task-state';
import { logsOfVersion } from './open-state';
import type { PlanEntry } from './plan-store';

/** Each try is lost to a worker that has just appended. */
const triesMax = 50;

/** Where the task of a former version stopped, and what was open in it. */
interface EndedTask {
  readonly stage: string;
  readonly incarnation: string;
  readonly partition: string;
  /** As its last commit left it; null: it has none. */
  readonly summary: TaskSummary | null;
  /** Keys that were open, by node: given up. */
  readonly open: Readonly<Record<string, number>>;
  /** Its dead letters that were settled: what was redriven once is not redriven again. */
  readonly letters: readonly LetterSettlement[];
}

/** A version whose logs have ended, all of them. */
export interface EndedVersion {
  readonly tasks: readonly EndedTask[];
  /** Events that its tasks had sent and none of them had taken in, by exchange hub: given up. */
  readonly underWay: Readonly<Record<string, number>>;
}

/**
 * Where a version begins: behind the last commits of the one before. Made once, by whoever is first, when no log
 * of the former version can be appended to any more and all that they owed has left.
 */
export interface VersionBeginning extends EndedVersion {
  readonly format: 1;
  readonly topology: string;
  readonly version: string;
  /** The version that ended. */
  readonly after: string;
  /** Births of all tasks of this version: later than any before. */
  readonly epoch: number;
  readonly atMs: number;
}

/** A version, with the plan that says where what its logs owe goes, as far as it is known. */
export type FormerVersion = Pick<PlanEntry, 'topology' | 'version' | 'stages' | 'document'>;

/** Null: the version has not begun. */
export async function readBeginning(
  objects: Pick<DeliveryServices['objects'], 'get'>,
  { topology, version }: { readonly topology: string; readonly version: string },
): Promise<VersionBeginning | null> {
  const bytes = await objects.get(versionBeginningName(topology, version));
  if (bytes === undefined) return null;
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as VersionBeginning;
}

/** What the end of one log tells, beside what is kept of it. */
interface TaskEnd {
  readonly task: EndedTask;
  /** Ordinals of the last events sent, by `<hub>[#<port>]` and partition. */
  readonly sent: readonly { readonly exchange: string; partition: string; ordinal: number }[];
  /** And taken in, by producer (`<stage>/<partition>[#<port>]`). */
  readonly taken: Readonly<Record<string, { readonly epoch: number; readonly ordinal: number }>>;
}

/**
 * Ends every log of a version: what it owes leaves, then it is sealed for ever, and what is open is counted.
 * Repeatable, by any number of processes at once: a sealed log says the same to all.
 *
 * @param former with the last plan of the version that ends
 */
export async function endVersion(
  services: DeliveryServices,
  former: FormerVersion,
  next: string,
): Promise<EndedVersion> {
  const ends = new Map<string, TaskEnd>();
  // A task that the version never began stopped where the version before it left it.
  for (const task of (await beginningOf(services, former))?.tasks ?? []) {
    const carried = { ...task, open: {} };
    ends.set(`${task.stage}/${task.partition}`, { task: carried, sent: [], taken: {} });
  }
  // Names sort by age: the newest life of a task is the one that carries on.
  for (const path of await logsOfVersion(services.appends, former)) {
    const name = `${path.stage}/${path.partition}`;
    const plan = former.stages.find((stage) => stage.name === path.stage) ?? withoutTables;
    const end = await endTask(services, { plan, path, former, next });
    // A life that nobody has committed to says nothing: the one before it does.
    if (end.task.summary !== null || !ends.has(name)) ends.set(name, end);
  }
  const all = Array.from(ends.values());
  return { tasks: all.map(({ task }) => task), underWay: underWayIn(all, former.stages) };
}

/** Of a stage that no plan knows any more: what its log owes is in the log alone. */
const withoutTables: Pick<StagePlan, 'tables' | 'input'> = {
  tables: [],
  input: { kind: 'exchange', hub: '', producers: [] },
};

interface Ending {
  readonly plan: Pick<StagePlan, 'tables' | 'input'>;
  readonly path: TaskAddress;
  readonly former: FormerVersion;
  readonly next: string;
}

async function endTask(services: DeliveryServices, ending: Ending): Promise<TaskEnd> {
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
): Promise<TaskEnd> {
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
  return endOf(state, path, former);
}

function endOf(state: TaskState, path: TaskAddress, former: FormerVersion): TaskEnd {
  const { keyed, summary } = state;
  const planned = former.document.nodes.filter(({ stages }) => stages.includes(path.stage));
  const names = new Set([...planned.map(({ name }) => name), ...nodesKept(keyed)]);
  const open = Array.from(names, (name) => [name, keyed.keysOf(name)] as const).filter(
    ([, keys]) => keys > 0,
  );
  const settled = keyed.store<LetterVerdict>(lettersStore).entries();
  const letters = Array.from(settled, ([id, verdict]) => ({ id, verdict }));
  const { incarnation, partition, stage } = path;
  const sent: { exchange: string; partition: string; ordinal: number }[] = [];
  for (const { name } of keyed.stores()) {
    if (!name.startsWith(outboxStorePrefix)) continue;
    const exchange = name.slice(outboxStorePrefix.length);
    for (const [to, { ordinal }] of keyed.store<{ ordinal: number }>(name).entries()) {
      sent.push({ exchange, partition: to, ordinal });
    }
  }
  const taken = Object.fromEntries(
    keyed.store<{ epoch: number; ordinal: number }>(producersStore).entries(),
  );
  const task = { stage, incarnation, partition, summary, open: Object.fromEntries(open), letters };
  return { task, sent, taken };
}

function underWayIn(
  ends: readonly TaskEnd[],
  stages: readonly StagePlan[],
): Readonly<Record<string, number>> {
  const underWay: Record<string, number> = {};
  for (const { sent, task } of ends) {
    for (const { exchange, ordinal, partition } of sent) {
      const [hub = '', port] = exchange.split('#');
      const consumer = stages.find(({ input }) => input.hub === hub)?.name;
      const mark = ends.find(
        ({ task: other }) => other.stage === consumer && other.partition === partition,
      )?.taken[`${task.stage}/${task.partition}${port === undefined ? '' : `#${port}`}`];
      const isSameLife = mark !== undefined && mark.epoch === task.summary?.epoch;
      const events = Math.max(0, ordinal - (isSameLife ? mark.ordinal : 0));
      if (events > 0) underWay[hub] = (underWay[hub] ?? 0) + events;
    }
  }
  return underWay;
}

/**
 * Where a version began. It is made anew where it was lost with control: the logs of the version before were
 * ended, and say the same to whoever asks.
 * @returns null: no version was before it
 */
async function beginningOf(
  services: DeliveryServices,
  { document, stages, topology, version }: FormerVersion,
): Promise<VersionBeginning | null> {
  const known = await readBeginning(services.objects, { topology, version });
  const before = versionBefore(version);
  if (known !== null || before === null) return known;
  const logs = await listLogs(services.appends, topology);
  const isFirst = !logs.some((path) => isLaterVersion(version, path.version));
  if (isFirst) return null;
  const former = { topology, version: before, document, stages };
  return beginVersion(services, { topology, version }, former);
}

/** The beginning of a version, made where nobody has made it yet. */
export async function beginVersion(
  services: DeliveryServices,
  entry: Pick<PlanEntry, 'topology' | 'version'>,
  former: FormerVersion,
): Promise<VersionBeginning> {
  const { topology, version } = entry;
  const known = await readBeginning(services.objects, entry);
  if (known !== null) return known;
  const ended = await endVersion(services, former, version);
  const births = ended.tasks.map(({ summary }) => (summary?.epoch ?? 0) + 1);
  const nowMs = services.clock.nowMs();
  const beginning: VersionBeginning = {
    ...{ format: 1, topology, version, after: former.version, ...ended },
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
  if (former === undefined || summary === null) return null;
  const { commit, cursor, deadLetters, lastEnqueuedAtMs, late, ledger, promotion } = summary;
  const state = new TaskState(plan);
  const settled = state.keyed.store<LetterVerdict>(lettersStore);
  for (const { id, verdict } of former.letters) settled.put(id, verdict);
  state.keyed.settle();
  const isSameHub = hubOf(former.incarnation) === hubOf(incarnation);
  return state.bequest({
    ...emptySummary,
    ...{ commit, deadLetters, late, ledger, epoch, outboxConfirmedThrough: commit },
    // Lives that a reset or a promotion began are of one hub, and so are the positions in it.
    ...(isSameHub && { cursor, lastEnqueuedAtMs, promotion }),
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
