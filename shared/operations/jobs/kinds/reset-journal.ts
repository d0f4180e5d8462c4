import { resetFolder } from '../../../model/control-names';
import type { TaskAddress } from '../../../model/task-address';
import type { ObjectStore } from '../../../model/ports';

/** What a reset has found out once all logs had ended, and how all tasks begin anew: decided once. */
export interface ResetDecision {
  /** Of every life that begins anew: greater than that of any life before. */
  readonly epoch: number;
  /** Tasks that are over, by their names in tables. */
  readonly ended: readonly string[];
  /** The lives that begin: one for each task that there is. */
  readonly lives: readonly TaskAddress[];
  readonly stages: readonly EndedStage[];
}

/** What of one stage was ended. */
export interface EndedStage {
  readonly stage: string;
  readonly isSource: boolean;
  readonly logsEnded: number;
  /** Events that its ended logs had read: as many are read again, where the hub still holds them. */
  readonly eventsRead: number;
  /** Messages that the hub held then: a source's are read again, an exchange's are passed over. */
  readonly messagesHeld: number;
}

interface Claim {
  readonly format: 1;
  readonly jobId: string;
}

type Step = 'claim' | 'decision' | 'done';

const digits = 8;

/**
 * The resets of a topology, one after the other: `control/<topology>/resets/<number>-<step>.json`. One
 * that is not over is joined, whoever began it: any number of processes may do the same steps at the
 * same time or after each other, and what is decided is decided by the first.
 */
export class ResetJournal {
  readonly number: number;
  readonly #objects: ObjectStore;
  readonly #topology: string;

  private constructor(objects: ObjectStore, topology: string, number: number) {
    this.#objects = objects;
    this.#topology = topology;
    this.number = number;
  }

  /** Joins the reset that is under way, or begins one. A job that is run again finds its own. */
  static async join(objects: ObjectStore, topology: string, jobId: string): Promise<ResetJournal> {
    for (;;) {
      const names = (await objects.list(resetFolder(topology))).map(({ name }) => name);
      const newest = Math.max(0, ...names.map(numberIn));
      const known = new ResetJournal(objects, topology, newest);
      if (newest > 0) {
        const isOver = names.includes(known.#name('done'));
        if (!isOver || (await known.#read<Claim>('claim'))?.jobId === jobId) return known;
      }
      const next = new ResetJournal(objects, topology, newest + 1);
      if ((await next.#put('claim', { format: 1, jobId } satisfies Claim)) === 'created')
        return next;
    }
  }

  async decision(): Promise<ResetDecision | undefined> {
    return this.#read<ResetDecision>('decision');
  }

  /** The first decision counts. */
  async decide(decision: ResetDecision): Promise<ResetDecision> {
    await this.#put('decision', decision);
    return (await this.decision()) ?? decision;
  }

  /** Everything was done: the next reset is another one. */
  async end(): Promise<void> {
    await this.#put('done', { format: 1 });
  }

  #name(step: Step): string {
    return `${resetFolder(this.#topology)}${String(this.number).padStart(digits, '0')}-${step}.json`;
  }

  async #put(step: Step, value: object): Promise<string> {
    return this.#objects.putIfAbsent(this.#name(step), Buffer.from(JSON.stringify(value)));
  }

  async #read<Value>(step: Step): Promise<Value | undefined> {
    const bytes = await this.#objects.get(this.#name(step));
    if (bytes === undefined) return undefined;
    // Our own, and written in one piece.
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as Value;
  }
}

function numberIn(name: string): number {
  return Number(/(\d+)-[a-z]+\.json$/.exec(name)?.[1] ?? 0);
}
