import { planFolder } from '../../model/control-names';
import { StreamError } from '../../model/errors';
import type { PlanDocument } from '../../model/plan-document';
import type { ObjectStore } from '../../model/ports';
import type { StagePlan } from '../../model/program';
import type { BuildIdentity } from '../../model/topology-plan';
import { versionNumber } from '../../model/version-name';

/** What a build would do with a topology: its plan, as far as it can be written down. */
export interface OwnPlan {
  readonly topology: string;
  readonly hash: string;
  readonly document: PlanDocument;
  /** Its stages: whoever ends the logs of a version must know where what they owe goes. */
  readonly stages: readonly StagePlan[];
}

/** Why the plan of a topology changed. */
export type PlanChange =
  /** Nobody had run it. */
  | 'first'
  /** A newer build whose plan can take turns with the one before. */
  | 'compatible'
  /** Control knew less than the logs: it was deleted, or is an older copy. */
  | 'restored'
  /** Decisions. */
  | 'new-version'
  | 'begin'
  | 'remove'
  | 'rollback'
  | 'reset';

/** One plan of a topology: an immutable object, `control/<topology>/plan/<number>`. */
export interface PlanEntry extends OwnPlan {
  readonly format: 1;
  /** Names this writing of it. */
  readonly id: string;
  readonly number: number;
  readonly version: string;
  /** The build that brought it: an older one never moves it. */
  readonly build: BuildIdentity;
  readonly change: PlanChange;
  readonly by: string;
  readonly atMs: number;
  /** What is different from the plan before, a line each. */
  readonly differences: readonly string[];
  /** Builds that were rolled back: they do not take over again by themselves. */
  readonly refusedBuilds: readonly string[];
  /** Names of nodes whose open state and rows somebody has decided to give up. */
  readonly givenUp: readonly string[];
  /** The topology was removed: nobody runs it until it is begun again. */
  readonly isRemoved: boolean;
}

const numberDigits = 8;

function planName(topology: string, number: number): string {
  return planFolder(topology) + String(number).padStart(numberDigits, '0');
}

/**
 * The plans of topologies in the store, like the log of a Delta table: the next one is put under the next number
 * if nobody has put another there. Plain objects: any tool can read them.
 */
export class PlanStore {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** The plan that counts; null: nobody has run the topology. */
  async newest(topology: string): Promise<PlanEntry | null> {
    const name = (await this.#names(topology)).at(-1);
    return name === undefined ? null : this.#read(name);
  }

  /** All plans that there were, oldest first. */
  async history(topology: string): Promise<readonly PlanEntry[]> {
    const entries: PlanEntry[] = [];
    for (const name of await this.#names(topology)) {
      const entry = await this.#read(name);
      if (entry !== null) entries.push(entry);
    }
    return entries;
  }

  /**
   * Puts a plan under its number. `taken`: somebody else's is there.
   * A lost response is made good by reading back.
   */
  async put(entry: PlanEntry): Promise<'put' | 'taken'> {
    const name = planName(entry.topology, entry.number);
    const bytes = Buffer.from(JSON.stringify(entry));
    try {
      if ((await this.#objects.putIfAbsent(name, bytes)) === 'created') return 'put';
    } catch (error) {
      const isUnknown = error instanceof StreamError && error.code === 'STREAM_STORE_UNAVAILABLE';
      if (!isUnknown) throw error;
      const found = await this.#read(name);
      if (found === null) throw error;
      return found.id === entry.id ? 'put' : 'taken';
    }
    return (await this.#read(name))?.id === entry.id ? 'put' : 'taken';
  }

  async #names(topology: string): Promise<readonly string[]> {
    const folder = planFolder(topology);
    return (await this.#objects.list(folder))
      .map(({ name }) => name)
      .filter((name) => /^\d{8,15}$/.test(name.slice(folder.length)))
      .sort();
  }

  async #read(name: string): Promise<PlanEntry | null> {
    const bytes = await this.#objects.get(name);
    if (bytes === undefined) return null;
    const entry = parsed(bytes) as Partial<PlanEntry> | null;
    const fault = entry === null ? 'it is not JSON' : faultIn(entry);
    if (fault === null) return entry as PlanEntry;
    throw new StreamError(
      'STREAM_CONTROL_UNREADABLE',
      `${name}: ${fault}. Put the blob back as it was; where that cannot be, delete it: the logs know ` +
        'what they hold, and the next start writes it anew',
      { details: { name } },
    );
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function faultIn(entry: Partial<PlanEntry>): string | null {
  if (entry.format !== 1) return `it has format ${String(entry.format)}, this build reads 1`;
  const isWhole =
    Number.isSafeInteger(entry.number) &&
    typeof entry.id === 'string' &&
    typeof entry.hash === 'string' &&
    versionNumber(entry.version ?? '') !== undefined &&
    typeof entry.build?.id === 'string' &&
    typeof entry.build.builtAtMs === 'number' &&
    Array.isArray(entry.document?.nodes) &&
    [entry.stages, entry.refusedBuilds, entry.givenUp].every(Array.isArray);
  return isWhole ? null : 'a field of it is missing or is not what it must be';
}
