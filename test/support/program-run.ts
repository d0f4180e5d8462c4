/** A stage of a topology run alone, on a state in memory, by segments or event by event. */
import { compileStage } from '../../shared/execution';
import type { Topology } from '../../shared/dataflow';
import type {
  ExchangeEvent,
  NewDeadLetter,
  Program,
  ProgramEvent,
  ProgramOutputs,
} from '../../shared/model/program';
import { EventSegment } from '../../shared/model/segment';
import type { Row } from '../../shared/model/table';
import { plan } from '../../shared/planner';
import { TaskStores } from '../../shared/state/task-stores';

/** What came out, in order, as texts; dead letters by code, operator and event. */
class Outcome implements ProgramOutputs {
  readonly isFull = false;
  readonly lines: string[] = [];
  #mark = 0;
  readonly #tables: readonly string[];

  constructor(tables: readonly string[]) {
    this.#tables = tables;
  }

  mark(): void {
    this.#mark = this.lines.length;
  }

  rollbackToMark(): void {
    this.lines.length = this.#mark;
  }

  row(table: number, row: Row): void {
    this.lines.push(`${this.#tables[table]} ${JSON.stringify(row)}`);
  }

  send(exchange: number, event: ExchangeEvent): void {
    this.lines.push(`exchange ${exchange} ${JSON.stringify(event)}`);
  }

  deadLetter({ code, index, operator, payload, sequenceNumber }: NewDeadLetter): void {
    const what = payload === undefined ? `${sequenceNumber}.${index}` : JSON.stringify(payload);
    this.lines.push(`dead ${code} ${operator} ${what}`);
  }

  /** The rows of a table. */
  of(table: string): string[] {
    return this.lines
      .filter((line) => line.startsWith(`${table} `))
      .map((line) => line.slice(table.length + 1));
  }

  /** In order for each table and exchange, and for dead letters: between these there is none. */
  get streams(): Readonly<Record<string, readonly string[]>> {
    const streams: Record<string, string[]> = {};
    for (const line of this.lines) (streams[line.slice(0, line.indexOf(' '))] ??= []).push(line);
    return streams;
  }

  get letters(): string[] {
    return this.lines.filter((line) => line.startsWith('dead '));
  }
}

export interface StageRun {
  readonly outcome: Outcome;
  readonly program: Program;
  readonly state: TaskStores;
  readonly ends: string[];
  /** Runs values as one segment, or as several where that is too short. */
  readonly run: (values: readonly unknown[]) => void;
  /** The last of them are given again, in their places. */
  readonly rewind: (events: number) => void;
  /** Runs values one by one. */
  readonly runEach: (values: readonly unknown[]) => void;
}

/** @param stageName absent: the first stage */
export function runOf(topology: Topology, stageName?: string): StageRun {
  const { stages } = plan([topology]);
  const stage = stages.find(({ name }) => name === (stageName ?? stages[0]?.name));
  if (stage === undefined)
    throw new Error(`no stage ${stageName}, but ${stages.map(({ name }) => name).join()}`);
  const outcome = new Outcome(stage.tables.map(({ name }) => name));
  const state = new TaskStores();
  const program = compileStage(stage, [topology]).bind(state, outcome);
  const ends: string[] = [];
  let next = 0;
  const eventOf = (value: unknown): ProgramEvent => {
    const sequenceNumber = (next += 1);
    const position = { sequenceNumber, index: 0, enqueuedTimeMs: 10 ** 12 };
    if (stage.input.kind === 'source') {
      return { ...position, key: null, eventTimeMs: null, value: structuredClone(value) };
    }
    const { key, port, time } = value as { key: string; time: number; port?: number };
    return { ...position, key, eventTimeMs: time, port, value: structuredClone(value) };
  };
  return {
    ...{ outcome, program, state, ends },
    run: (values) => {
      for (let from = 0; from < values.length;) {
        const given = values.slice(from, from + 64);
        const segment = new EventSegment({
          refresh: (one, first, to) => {
            for (let at = first; at < to; at += 1) one.values[at] = structuredClone(given[at]);
          },
          bytesOf: () => new Uint8Array(),
        });
        for (const value of given) segment.add(eventOf(value), new Uint8Array());
        const done = program.run(segment);
        ends.push(...segment.ends.slice(0, done));
        from += done;
        next -= given.length - done;
      }
    },
    rewind: (events) => {
      next -= events;
    },
    runEach: (values) => {
      for (const value of values) ends.push(program.process(eventOf(value)));
    },
  };
}
