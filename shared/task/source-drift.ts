import type { Clock, ObjectStore, Telemetry } from '../model/ports';
import { sourceTimesFolder } from '../model/control-names';
import type { StagePlan } from '../model/program';
import { aheadByMs, type SourceTimes } from '../time/drift';
import type { StageServices } from './services';
import type { TaskOptions } from './task-hold';

/** A survey is believed for so many stall time-outs; and who has not moved for so long is waited for no more. */
const patienceStalls = 4;

interface Document extends SourceTimes {
  readonly format: 2;
  readonly version: string;
}

/** For how long a survey is believed, and a partition that stands still is waited for. */
export function driftPatienceMs(limits: { readonly stallAfterMs: number }): number {
  return patienceStalls * limits.stallAfterMs;
}

/** What is ahead in a stage waits behind its exchange: without one, nothing is held for anybody. */
export function mayDrift(plan: StagePlan): boolean {
  return plan.input.kind === 'source' && plan.exchanges.length > 0;
}

interface Place {
  readonly topology: string;
  readonly version: string;
}

interface Page extends Place {
  readonly stage: string;
  readonly page: number;
}

function pageName({ page, stage, topology }: Page): string {
  return `${sourceTimesFolder(topology)}${stage}-${page}.json`;
}

export async function publishSourceTimes(
  objects: ObjectStore,
  page: Page,
  times: SourceTimes,
): Promise<void> {
  const document: Document = { format: 2, version: page.version, ...times };
  await objects.put(pageName(page), Buffer.from(JSON.stringify(document)));
}

/** What was said last of one page of a stage; null: nothing, of this version. */
export async function lastSourceTimes(
  objects: ObjectStore,
  page: Page,
): Promise<SourceTimes | null> {
  return documentFrom(await objects.get(pageName(page)), page.version);
}

function documentFrom(bytes: Uint8Array | undefined, version: string): Document | null {
  if (bytes === undefined) return null;
  let document: Partial<Document> | null;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Document> | null;
  } catch {
    // Another tool's bytes: nobody is held back for them, and the next survey writes over them.
    return null;
  }
  const isKnown = document?.format === 2 && document.version === version;
  return isKnown ? (document as Document) : null;
}

/** What surveys said last of the sources of a version of a topology. */
export async function readSourceTimes(
  objects: ObjectStore,
  { topology, version }: Place,
): Promise<readonly SourceTimes[]> {
  const listed = await objects.list(sourceTimesFolder(topology));
  const found = await Promise.all(listed.map(({ name }) => objects.get(name)));
  return found.flatMap((bytes) => documentFrom(bytes, version) ?? []);
}

/** Tells the tasks of one process how far they are ahead of the slowest source partition of their topology. */
export class SourceDrift {
  readonly #known = new Map<
    string,
    { readonly readAtMs: number; readonly times: Promise<readonly SourceTimes[]> }
  >();

  /** What a task is opened with. */
  optionsOf(
    plan: StagePlan,
    services: Parameters<SourceDrift['aheadByMs']>[0],
    task: Parameters<SourceDrift['aheadByMs']>[1],
  ): Pick<TaskOptions, 'aheadByMs'> {
    return mayDrift(plan) ? { aheadByMs: () => this.aheadByMs(services, task) } : {};
  }

  /** In milliseconds of event time, as far as it is known; see shared/time/drift.ts. */
  async aheadByMs(
    services: Pick<StageServices, 'clock' | 'limits' | 'objects' | 'telemetry'>,
    task: Place & { readonly stage: string; readonly partition: string },
  ): Promise<number> {
    const { clock, limits } = services;
    const times = await this.#times(services, task, limits.claimEveryMs);
    return aheadByMs(times, task, clock.nowMs() - driftPatienceMs(limits));
  }

  #times(
    world: {
      readonly clock: Clock;
      readonly objects: ObjectStore;
      readonly telemetry: Telemetry;
    },
    { topology, version }: Place,
    everyMs: number,
  ): Promise<readonly SourceTimes[]> {
    const name = `${topology}/${version}`;
    const nowMs = world.clock.nowMs();
    const known = this.#known.get(name);
    const sinceMs = nowMs - (known?.readAtMs ?? -Infinity);
    // A clock that was set back must not keep a worker from asking.
    if (known !== undefined && sinceMs >= 0 && sinceMs < everyMs) return known.times;
    const times = readSourceTimes(world.objects, { topology, version }).catch((error: unknown) => {
      // Nobody is held back for what could not be read: the state of the next stage has limits of its own.
      world.telemetry.emit('warn', 'task.drift-unknown', { topology, error: String(error) });
      return [];
    });
    this.#known.set(name, { readAtMs: nowMs, times });
    return times;
  }
}

/** Whether one task has to leave its input unread, for it is too far ahead of the slowest source partition. */
export class DriftGuard {
  readonly #options: Pick<TaskOptions, 'address' | 'aheadByMs' | 'services'>;
  #isHeldBack = false;

  constructor(options: Pick<TaskOptions, 'address' | 'aheadByMs' | 'services'>) {
    this.#options = options;
  }

  async mustWait(): Promise<boolean> {
    const { address, aheadByMs: ask, services } = this.#options;
    if (ask === undefined) return false;
    const aheadMs = await ask();
    const isHeldBack = aheadMs > services.limits.maxDriftMs;
    if (isHeldBack !== this.#isHeldBack) {
      const event = isHeldBack ? 'task.held-back' : 'task.reads-on';
      services.telemetry.emit('info', event, { ...address, aheadMs });
    }
    this.#isHeldBack = isHeldBack;
    return isHeldBack;
  }

  /** It had to wait, and may go on: nobody may hand it what it left unread. */
  async isReleased(): Promise<boolean> {
    return this.#isHeldBack && !(await this.mustWait());
  }
}
