import { hubOf } from '../../commit-log/incarnations';
import type { ProducingStage, StageInput } from '../../model/program';
import type { KeyedStore } from '../../state/stores';
import type { TaskStores } from '../../state/task-stores';
import {
  exchangeWatermarkMs,
  heardOf,
  type Claim,
  type ProducerTime,
} from '../../time/exchange-time';
import { comparePositions, laterPositions, type Positions } from '../../time/position';
import type { ClaimsEnvelope, EventsEnvelope } from './envelope';

/** Store of a task's state with what it has taken in, by producer. */
export const producersStore = '$producers';

interface ProducerMark {
  readonly epoch: number;
  /** Life of its hub when it spoke last. */
  readonly incarnation: string;
  /** Ordinal of the last event taken in. */
  readonly ordinal: number;
  /** The producer's commit that it came with, or a later one that brought no event. */
  readonly commit: number;
  readonly watermarkMs: number | null;
  readonly through: Positions;
  readonly isFinished: boolean;
  readonly claim: Claim | null;
}

/** How many tasks a producing stage has, as the newest of its builds on the newest life of its hub says. */
interface StageCount {
  readonly incarnation: string;
  readonly planNumber: number;
  readonly count: number;
}

/** What to do with an envelope: which of its events are new, and how many before them are missing. */
export interface Admission {
  /** Events to skip at the front: they were taken in before. */
  readonly seen: number;
  /** Events between what was taken in and this envelope: lost with a hub, to be declared. */
  readonly missing: number;
  readonly stale: boolean;
  /** Why the producer's log cannot be the one that sent what was taken in before; null: it is. */
  readonly contradiction: string | null;
}

/** Whose events a stage's exchange brings. */
export function producingStages(input: StageInput): readonly ProducingStage[] {
  return input.kind === 'source' ? [] : input.producers;
}

const unheard: ProducerMark = {
  ...{ epoch: 0, incarnation: '', ordinal: 0, commit: 0, watermarkMs: null, through: {} },
  ...{ isFinished: false, claim: null },
};

/**
 * The consumer's side of an exchange: a high-water mark per producer and port, and what each has said of time,
 * kept in the task's own state so that they commit with what they let in.
 * Delivery: effectively once: a re-sent envelope is skipped, a missing one is declared.
 */
export class Producers {
  readonly #stages: readonly ProducingStage[];
  readonly #marks: KeyedStore<ProducerMark>;
  readonly #counts: KeyedStore<StageCount>;
  readonly #dropped: KeyedStore<number>;

  constructor(state: TaskStores, stages: readonly ProducingStage[]) {
    this.#stages = stages;
    this.#marks = state.store(producersStore);
    this.#counts = state.store('$producer-count');
    this.#dropped = state.store('$exchange-dropped');
  }

  /** These have sent nothing yet that counts: what is still under way of their former lives is dropped. */
  expect(producers: readonly string[], epoch: number): void {
    for (const producer of producers) {
      for (const { port } of this.#stages.filter(({ stage }) => producer.startsWith(`${stage}/`))) {
        this.#marks.put(markName(producer, port), { ...unheard, epoch });
      }
    }
  }

  admit(envelope: EventsEnvelope): Admission {
    const mark = this.#marks.get(markNameOf(envelope));
    if (mark !== undefined && envelope.epoch < mark.epoch) {
      return { seen: envelope.events.length, missing: 0, stale: true, contradiction: null };
    }
    const ordinal = mark !== undefined && mark.epoch === envelope.epoch ? mark.ordinal : 0;
    const missing = Math.max(0, envelope.firstOrdinal - 1 - ordinal);
    const seen = Math.min(
      envelope.events.length,
      Math.max(0, ordinal - (envelope.firstOrdinal - 1)),
    );
    return { seen, missing, stale: false, contradiction: contradictionOf(mark, envelope) };
  }

  /** Notes that the envelope's first `taken` events are in; what it says of time counts once all are. */
  take(envelope: EventsEnvelope, taken: number): void {
    const name = markNameOf(envelope);
    const known = this.#marks.get(name);
    const isSameLife = known !== undefined && known.epoch === envelope.epoch;
    const mark = isSameLife ? known : { ...unheard, watermarkMs: known?.watermarkMs ?? null };
    const ordinal = Math.max(
      mark.ordinal,
      envelope.firstOrdinal - 1 + Math.min(taken, envelope.events.length),
    );
    const isComplete = taken >= envelope.events.length;
    // What was sent before and comes again says nothing new of time.
    const isRepeated = envelope.firstOrdinal - 1 + envelope.events.length < mark.ordinal;
    const isNews = isComplete && envelope.commit >= mark.commit && !isRepeated;
    const hasSpoken = ordinal > mark.ordinal;
    this.#marks.put(name, {
      epoch: envelope.epoch,
      incarnation: envelope.incarnation,
      ordinal,
      commit: Math.max(mark.commit, envelope.commit),
      watermarkMs: isNews ? spokenWatermarkMs(mark, envelope) : mark.watermarkMs,
      through: isNews ? laterPositions(mark.through, envelope.through) : mark.through,
      isFinished: isNews ? envelope.isFinished : mark.isFinished,
      claim: hasSpoken ? null : mark.claim,
    });
    this.#count(envelope);
  }

  /** A raised count is waited for from here on; a lower one counts where it is of a newer build or hub. */
  #count({ incarnation, planNumber, producers: count, stage }: EventsEnvelope): void {
    const known = this.#counts.get(stage);
    const isNewer =
      known === undefined ||
      incarnation > known.incarnation ||
      (incarnation === known.incarnation &&
        (planNumber > known.planNumber ||
          (planNumber === known.planNumber && count > known.count)));
    if (isNewer) this.#counts.put(stage, { incarnation, planNumber, count });
  }

  /** Takes claims of idleness in; those that a partition has spoken after, or an older life of it, are void. */
  claim({ claims, ends }: ClaimsEnvelope): void {
    for (const { cursor, epoch, partition, stage } of claims) {
      for (const { port } of this.#stages.filter((one) => one.stage === stage)) {
        const name = markName(`${stage}/${partition}`, port);
        const mark = this.#marks.get(name) ?? unheard;
        const through = mark.through[`${stage}/${partition}`];
        const isVoid =
          epoch < mark.epoch ||
          (through !== undefined && comparePositions(through, cursor) > 0) ||
          isOlder(cursor, ends, mark.claim);
        if (isVoid) continue;
        const [incarnation] = cursor;
        const isAlive = mark.isFinished && incarnation > mark.incarnation;
        const life = isAlive ? { incarnation, isFinished: false, watermarkMs: null } : {};
        this.#marks.put(name, { ...mark, ...life, claim: { cursor, ends } });
      }
    }
  }

  /** Counts what another version of the topology sent. */
  drop(events: number): void {
    this.#dropped.put('messages', (this.#dropped.get('messages') ?? 0) + 1);
    this.#dropped.put('events', (this.#dropped.get('events') ?? 0) + events);
  }

  /** Events of another version of the topology, that were dropped. */
  get droppedEvents(): number {
    return this.#dropped.get('events') ?? 0;
  }

  /** The source positions that this task has been told of. */
  heard(): Positions {
    return heardOf(this.#times().filter(({ isFinished }) => !isFinished));
  }

  /**
   * The watermark of the stage's input, as exchangeWatermarkMs has it. Null until every task of every
   * producing stage has spoken.
   */
  watermarkMs(): number | null {
    const times = this.#times();
    return this.#areAllThere(times) ? exchangeWatermarkMs(times) : null;
  }

  #areAllThere(times: readonly ProducerTime[]): boolean {
    if (times.length === 0) return false;
    return this.#stages.every(({ port, stage }) => {
      const { count, incarnation } = this.#counts.get(stage) ?? { count: 1, incarnation: '' };
      for (let partition = 0; partition < count; partition += 1) {
        const mark = this.#marks.get(markName(`${stage}/${partition}`, port));
        // It had finished, and is there again in the hub that was made anew.
        const isReborn = mark?.isFinished === true && hubOf(mark.incarnation) < hubOf(incarnation);
        if (mark === undefined || isReborn) return false;
      }
      return true;
    });
  }

  #times(): ProducerTime[] {
    return Array.from(this.#marks.entries(), ([markedName, mark]) => {
      const [name = '', port = '0'] = markedName.split('#');
      return { name, port: Number(port), ...mark };
    });
  }
}

/** A task that begins in a new life of its hub after it had finished has time of its own again. */
function spokenWatermarkMs(mark: ProducerMark, envelope: EventsEnvelope): number | null {
  if (envelope.isFinished) return mark.watermarkMs;
  if (mark.isFinished) return envelope.watermarkMs;
  return later(mark.watermarkMs, envelope.watermarkMs);
}

/** A claim that was sent before the one that is known: its ends are earlier. */
function isOlder(cursor: Claim['cursor'], ends: Positions, known: Claim | null): boolean {
  if (known === null || comparePositions(cursor, known.cursor) > 0) return false;
  if (comparePositions(cursor, known.cursor) < 0) return true;
  return Object.entries(known.ends).some(([partition, end]) => {
    const now = ends[partition];
    return now !== undefined && comparePositions(now, end) < 0;
  });
}

function markName(producer: string, port: number): string {
  return port === 0 ? producer : `${producer}#${port}`;
}

function markNameOf({ partition, port, stage }: EventsEnvelope): string {
  return markName(`${stage}/${partition}`, port);
}

/**
 * A producer numbers its events once and for all. A later commit that gives numbers out again, or a
 * life that begins anew while the task still holds events of the one before, comes from a log that was
 * put back or deleted: its events would be counted again, or dropped in the place of others.
 */
function contradictionOf(mark: ProducerMark | undefined, envelope: EventsEnvelope): string | null {
  if (mark === undefined) return null;
  const { commit, epoch, firstOrdinal, partition, stage } = envelope;
  const producer = `${stage}/${partition}`;
  if (epoch > mark.epoch) {
    return mark.ordinal === 0
      ? null
      : `${producer} begins anew, after ${mark.ordinal} events of its former life were taken in`;
  }
  return commit > mark.commit && firstOrdinal <= mark.ordinal
    ? `commit ${commit} of ${producer} sends event ${firstOrdinal} again, its commit ${mark.commit} had sent up to ${mark.ordinal}`
    : null;
}

function later(left: number | null, right: number | null): number | null {
  if (left === null) return right;
  return right === null ? left : Math.max(left, right);
}
