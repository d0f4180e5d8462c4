import { endOfTimeMs } from '../time/exchange-time';

import type { EventEnd, Program, ProgramEvent } from '../model/program';
import type { CompiledStage } from '../task/services';

/** An event that every window it belongs to refused. */
export interface LateEvent {
  /** The stage that refused it. */
  readonly stage: string;
  /** As the operator saw it: behind a `keyBy`, what came through the exchange. */
  readonly event: unknown;
}

interface Noted extends LateEvent {
  /** Tells it from others of its task. */
  readonly place: string;
}

/**
 * The late events that a program's commits hold. A commit that is taken back takes its own along;
 * what a program that died had not been told of may come again in the next one.
 */
class LateOfProgram {
  readonly #noted: Noted[] = [];
  #committed = 0;

  note(late: Noted): void {
    this.#noted.push(late);
  }

  began(): void {
    this.#committed = this.#noted.length;
  }

  takenBack(): void {
    this.#noted.length = this.#committed;
  }

  get sure(): readonly Noted[] {
    return this.#noted.slice(0, this.#committed);
  }

  get unsure(): readonly Noted[] {
    return this.#noted.slice(this.#committed);
  }
}

/** What a test wants to know of, and to decide in, the stages that run for it. */
export class StageWatch {
  /** While it drains, a source's time moves on to here; null: to the end. */
  drainToMs: number | null = null;
  readonly #programs: LateOfProgram[] = [];

  /** The late events of all programs so far, each once. */
  lateEvents(): readonly LateEvent[] {
    const events: LateEvent[] = [];
    for (const [index, program] of this.#programs.entries()) {
      const later = this.#programs
        .slice(index + 1)
        .flatMap(({ sure, unsure }) => [...sure, ...unsure]);
      const again = new Set(later.map(({ place }) => place));
      const unsure = program.unsure.filter(({ place }) => !again.has(place));
      events.push(...[...program.sure, ...unsure].map(({ event, stage }) => ({ stage, event })));
    }
    return events;
  }

  /** The same stage, whose programs tell what they do. */
  over(stage: CompiledStage): CompiledStage {
    return {
      ...stage,
      bind: (...given) => {
        const late = new LateOfProgram();
        this.#programs.push(late);
        return this.#watched(stage.bind(...given), stage.plan.name, late);
      },
    };
  }

  #watched(program: Program, stage: string, late: LateOfProgram): Program {
    const instead: Partial<Program> = {
      process: (event) => noted(late, stage, event, program.process(event)),
      run: (segment) => {
        const done = program.run(segment);
        for (let at = 0; at < done; at += 1) {
          const sequenceNumber = segment.sequenceNumbers[at] ?? 0;
          const index = segment.indexes[at] ?? 0;
          const event = { sequenceNumber, index, value: segment.values[at] };
          noted(late, stage, event, segment.ends[at] ?? 'filtered');
        }
        return done;
      },
      advanceWatermark: (watermarkMs) => {
        const isDrain = watermarkMs === endOfTimeMs && this.drainToMs !== null;
        program.advanceWatermark(isDrain ? (this.drainToMs ?? watermarkMs) : watermarkMs);
      },
      beginCommit: (...request) => {
        late.began();
        program.beginCommit(...request);
      },
      afterRollback: () => {
        late.takenBack();
        program.afterRollback();
      },
    };
    return new Proxy(program, {
      get: (target, name) => {
        const own = instead[name as keyof Program];
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}

function noted(
  late: LateOfProgram,
  stage: string,
  event: Pick<ProgramEvent, 'sequenceNumber' | 'index' | 'value'>,
  end: EventEnd,
): EventEnd {
  const { index, sequenceNumber, value } = event;
  if (end === 'late') {
    const place = JSON.stringify([stage, sequenceNumber, index, value]);
    late.note({ stage, event: value, place });
  }
  return end;
}
