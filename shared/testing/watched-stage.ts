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

/** What a test wants to know of, and to decide in, the stages that run for it. */
export class StageWatch {
  /** While it drains, a source's time moves on to here; null: to the end. */
  drainToMs: number | null = null;
  /** By where they stand: what is run again, after a commit that failed, is decided again. */
  readonly #late = new Map<string, LateEvent>();

  lateEvents(): readonly LateEvent[] {
    return Array.from(this.#late.values());
  }

  /** The same stage, whose programs tell what they do. */
  over(stage: CompiledStage): CompiledStage {
    return {
      ...stage,
      bind: (state, outputs, task) => {
        const program = stage.bind(state, outputs, task);
        return this.#watched(program, `${task.stage}/${task.partition}`, task.stage);
      },
    };
  }

  #watched(program: Program, place: string, stage: string): Program {
    const note = (
      event: Pick<ProgramEvent, 'sequenceNumber' | 'index' | 'value'>,
      end: EventEnd,
    ): EventEnd => {
      const name = `${place}/${event.sequenceNumber}/${event.index}`;
      this.#late.delete(name);
      if (end === 'late') this.#late.set(name, { stage, event: event.value });
      return end;
    };
    const instead: Partial<Program> = {
      process: (event) => note(event, program.process(event)),
      run: (segment) => {
        const done = program.run(segment);
        for (let at = 0; at < done; at += 1) {
          const sequenceNumber = segment.sequenceNumbers[at] ?? 0;
          const index = segment.indexes[at] ?? 0;
          note(
            { sequenceNumber, index, value: segment.values[at] },
            segment.ends[at] ?? 'filtered',
          );
        }
        return done;
      },
      advanceWatermark: (watermarkMs) => {
        const isDrain = watermarkMs === endOfTimeMs && this.drainToMs !== null;
        program.advanceWatermark(isDrain ? (this.drainToMs ?? watermarkMs) : watermarkMs);
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
