import type { StreamError } from '../model/errors';
import { invariant } from '../model/errors';
import type {
  EventEnd,
  ExchangeTime,
  Program,
  ProgramEvent,
  ProgramOutputs,
} from '../model/program';
import { EventSegment, segmentEventsMax } from '../model/segment';
import type { KeyedStore } from '../state/stores';
import type { TaskStores } from '../state/task-stores';
import { Carried } from '../operators/exchange/carried';
import { Books } from './books';
import { Dataflow, type NodeRuntime } from './dataflow';
import { Fingerprints } from './fingerprints';
import { RowBuffer } from './rows';
import { codeOf, describe, type SourceEvents } from './source-events';
import type { StageGraph } from './stage-graph';
import { StageTime } from './stage-time';

interface SavedTime {
  readonly watermarkMs: number | null;
  readonly eventTimeMaxMs: number | null;
  /** Only while results are due: what timers have fired up to; null: nothing. */
  readonly firedThroughMs?: number | null;
}

const noBytes = new Uint8Array();

export interface StageProgramOptions {
  readonly graph: StageGraph;
  readonly state: TaskStores;
  readonly outputs: ProgramOutputs;
  /** Null for a stage that reads an exchange. */
  readonly source: SourceEvents | null;
}

/**
 * A stage bound to one task. Events run in pieces of a segment, optimistically, with one undo point. Each
 * is judged by the watermark before it; what became due after it fires before the next. A piece ends where
 * a timer is reached, and where that shows only afterwards it is run again and cut there; where a function
 * throws, its events run again one by one. So what comes out is what events one by one would give, wherever
 * batches are cut.
 */
export class StageProgram implements Program {
  readonly #state: TaskStores;
  readonly #outputs: ProgramOutputs;
  readonly #source: SourceEvents | null;
  readonly #exchangeNodes: readonly number[];
  readonly #books: Books;
  readonly #dataflow: Dataflow;
  readonly #time: StageTime;
  readonly #fingerprints: Fingerprints;
  readonly #rows: readonly RowBuffer[];
  readonly #savedTimes: KeyedStore<SavedTime>;
  /** Of a single event. */
  readonly #alone = new EventSegment(null);
  #eventTimeMaxMs = -Infinity;
  /** By place in the segment: the watermark after each event, were none of them to fail. */
  readonly #watermarksAfter: number[] = [];
  readonly #marks: number[] = [];
  #isTimeChanged = false;
  #resultsLeft = Infinity;
  #refuseNextResult: StreamError | null = null;
  #pieceEventsMax = segmentEventsMax;
  #undoPoint = 0;
  /** Where the last event is, for the dead letters of what it makes fire. */
  #position = { sequenceNumber: 0, index: 0, enqueuedTimeMs: 0 };

  constructor({ graph, outputs, source, state }: StageProgramOptions) {
    this.#state = state;
    this.#outputs = outputs;
    this.#source = source;
    this.#exchangeNodes = graph.exchangeNodes;
    const timed = graph.nodes.filter(({ config, spec }) => spec.shape(config).timers !== 'none');
    this.#books = new Books(segmentEventsMax, timed.length > 1);
    const isKeyed = source === null;
    this.#dataflow = new Dataflow(graph, { state, outputs, books: this.#books, isKeyed });
    this.#time = new StageTime(graph, this.#dataflow);
    this.#fingerprints = new Fingerprints(graph, this.#dataflow.nodes, state);
    this.#fingerprints.assertSame();
    this.#rows = Array.from({ length: graph.ports }, () => new RowBuffer(isKeyed));
    this.#savedTimes = state.store('$time');
    this.#readTimes();
  }

  get watermarkMs(): number | null {
    return finiteOrNull(this.#time.targetMs);
  }

  exchangeTime(exchange: number): ExchangeTime {
    const place = this.#exchangeNodes[exchange];
    invariant(place !== undefined, 'every exchange of the stage is compiled', { exchange });
    return {
      watermarkMs: finiteOrNull(this.#time.timeOf(place)),
      isAwaited: this.#time.isAwaited(place),
    };
  }

  get eventTimeMaxMs(): number | null {
    return finiteOrNull(this.#eventTimeMaxMs);
  }

  process(event: ProgramEvent): EventEnd {
    this.#alone.clear();
    this.#alone.add(event, noBytes);
    this.run(this.#alone);
    const [end] = this.#alone.ends;
    this.#alone.clear();
    return end ?? 'filtered';
  }

  run(segment: EventSegment): number {
    if (this.#source !== null) {
      for (let at = 0; at < segment.length; at += 1) this.#source.admit(segment, at);
    }
    let done = 0;
    do {
      done = this.#runPiece(segment, done);
    } while (done < segment.length && !this.#isOver());
    return done;
  }

  #isOver(): boolean {
    return this.#outputs.isFull || this.#time.isDue;
  }

  /** Runs some of the events from `from` on; gives where it ended. */
  #runPiece(segment: EventSegment, from: number): number {
    let to = Math.min(segment.length, from + this.#pieceEventsMax);
    to = this.#planTimes(segment, from, to);
    if (to - from === 1) {
      this.#growPieces();
      return this.#runOne(segment, from);
    }
    this.#setUndoPoint();
    this.#books.begin();
    try {
      this.#runRows(segment, from, to);
    } catch {
      this.#undo(segment, from, to);
      return this.#runEach(segment, from, to);
    }
    if (this.#outputs.isFull) {
      // Where it was full, and no further: what a commit holds does not depend on pieces.
      this.#undo(segment, from, to);
      return this.#runEach(segment, from, to);
    }
    const timerAt = this.#firstReaching(this.#books.earliestSetMs, from, to);
    if (timerAt < to - 1) {
      this.#undo(segment, from, to);
      // Time passes often: the next pieces begin small.
      this.#pieceEventsMax = timerAt + 1 - from;
      return this.#runPiece(segment, from);
    }
    this.#growPieces();
    this.#settlePiece(segment, from, to);
    return to;
  }

  #growPieces(): void {
    this.#pieceEventsMax = Math.min(segmentEventsMax, 2 * this.#pieceEventsMax);
  }

  /**
   * Says how time would go with events that all succeed, and ends the piece with the event that brings the
   * first timer.
   */
  #planTimes(segment: EventSegment, from: number, to: number): number {
    let watermarkMs = this.#time.targetMs;
    if (this.#source !== null) {
      for (let at = from; at < to; at += 1) {
        const enqueuedTimeMs = segment.enqueuedTimesMs[at] ?? 0;
        const beforeMs = this.#source.watermarkBefore(watermarkMs, enqueuedTimeMs);
        this.#marks[at] = beforeMs;
        if (segment.refusals[at] === undefined) {
          const timeMs = segment.timesMs[at] ?? 0;
          watermarkMs = this.#source.watermarkAfter(beforeMs, timeMs, enqueuedTimeMs);
        }
        this.#watermarksAfter[at] = watermarkMs;
      }
    } else {
      for (let at = from; at < to; at += 1) {
        this.#marks[at] = segment.marksMs[at] ?? -Infinity;
        this.#watermarksAfter[at] = watermarkMs;
      }
    }
    if (!this.#time.hasTimers) return to;
    const levelMs = this.#time.nextLevel(watermarkMs);
    return Math.min(to, this.#firstReaching(levelMs, from, to) + 1);
  }

  /** The first event after which the watermark has reached a time; `to`: none. */
  #firstReaching(timeMs: number, from: number, to: number): number {
    if ((this.#watermarksAfter[to - 1] ?? 0) < timeMs) return to;
    let at = from;
    while ((this.#watermarksAfter[at] ?? 0) < timeMs) at += 1;
    return at;
  }

  /** Gives the events to the operators: all that are not refused. */
  #runRows(segment: EventSegment, from: number, to: number): void {
    this.#time.prepare();
    const { carriedFor: carried, keys, ports, refusals, timesMs, values } = segment;
    for (const rows of this.#rows) rows.clear();
    for (let at = from; at < to; at += 1) {
      if (refusals[at] !== undefined) continue;
      const rows = this.#rows[ports[at] ?? 0];
      invariant(rows !== undefined, 'the stage has the port that an event came through');
      const carriedFor = carried[at];
      const value = carriedFor === undefined ? values[at] : new Carried(carriedFor, values[at]);
      rows.add(value, keys[at] ?? '', timesMs[at] ?? 0, this.#marks[at] ?? -Infinity, at);
    }
    this.#dataflow.run(this.#rows, to - from === 1);
    this.#state.keepUpdated();
  }

  /** One by one: what throws is a dead letter, and nothing else of it is left. */
  #runEach(segment: EventSegment, from: number, to: number): number {
    for (let at = from; at < to; at += 1) {
      if (at > from && this.#isOver()) return at;
      this.#planTimes(segment, at, at + 1);
      this.#runOne(segment, at);
    }
    return to;
  }

  #runOne(segment: EventSegment, at: number): number {
    this.#books.begin();
    if (segment.refusals[at] === undefined) {
      this.#setUndoPoint();
      try {
        this.#runRows(segment, at, at + 1);
      } catch (error) {
        this.#undo(null, at, at);
        const { operator } = this.#dataflow;
        segment.refusals[at] = { code: codeOf(error), message: describe(error), operator };
        // An event that failed moves no time.
        this.#watermarksAfter[at] = this.#time.targetMs;
      }
    }
    this.#settlePiece(segment, at, at + 1);
    return at + 1;
  }

  /** The piece stands: says how its events ended, moves time to its end and fires. */
  #settlePiece(segment: EventSegment, from: number, to: number): void {
    this.#books.settle();
    for (let at = from; at < to; at += 1) {
      const refusal = segment.refusals[at];
      const position = {
        sequenceNumber: segment.sequenceNumbers[at] ?? 0,
        index: segment.indexes[at] ?? 0,
        enqueuedTimeMs: segment.enqueuedTimesMs[at] ?? 0,
      };
      if (at === to - 1) this.#position = position;
      if (refusal === undefined) {
        segment.ends[at] = this.#books.endOf(at);
        this.#noteTime(segment.timesMs[at] ?? -Infinity);
        continue;
      }
      segment.ends[at] = 'deadLettered';
      const { reader } = segment;
      this.#outputs.deadLetter({
        ...position,
        ...refusal,
        ...(reader !== null && { bytes: () => reader.bytesOf(segment, at) }),
      });
    }
    this.advanceWatermark(this.#watermarksAfter[to - 1] ?? -Infinity);
  }

  #noteTime(eventTimeMs: number): void {
    if (this.#source === null || eventTimeMs <= this.#eventTimeMaxMs) return;
    this.#eventTimeMaxMs = eventTimeMs;
    this.#isTimeChanged = true;
  }

  advanceWatermark(watermarkMs: number): void {
    if (watermarkMs <= this.#time.targetMs) return;
    this.#time.targetMs = watermarkMs;
    this.#isTimeChanged = true;
    this.#fireDue();
  }

  beginCommit(resultsMax: number, refuseFirst: StreamError | null = null): void {
    this.#resultsLeft = resultsMax;
    this.#refuseNextResult = refuseFirst;
    this.#fireDue();
  }

  get isFiringDue(): boolean {
    return this.#time.isDue;
  }

  get nextDueMs(): number | null {
    return finiteOrNull(this.#time.earliestTimerMs);
  }

  #fireDue(): void {
    if (!this.#time.hasTimers) {
      this.#time.stepMs = this.#time.targetMs;
      return;
    }
    while (this.#resultsLeft > 0 && !this.#outputs.isFull) {
      const node = this.#time.next();
      if (node === null) return;
      this.#resultsLeft -= 1;
      this.#isTimeChanged = true;
      this.#fire(node);
    }
  }

  /** What time made due is nobody's event: when it fails downstream, the result is the dead letter. */
  #fire(node: NodeRuntime): void {
    const { context, instance, outputs, stores } = node;
    this.#setUndoPoint();
    const timer = stores?.takeDue(context.watermarkMs) ?? null;
    invariant(timer !== null, 'a timer that is due can be taken', { operator: node.name });
    this.#books.begin();
    this.#dataflow.operator = node.name;
    try {
      context.beginTimer(timer);
      instance.onTimer?.(timer);
      this.#state.keepUpdated();
      this.#deliverResults(node);
    } catch (error) {
      this.#keepOrUndo(node);
      this.#resultLetter(describe(error), { key: context.key(), timeMs: timer.timeMs });
    } finally {
      for (const rows of outputs) rows.clear();
    }
    this.#books.settle();
  }

  /** What a timer left that the log cannot hold must go, and all that it did with it: only the timer is over. */
  #keepOrUndo({ context, stores }: NodeRuntime): void {
    try {
      this.#state.keepUpdated();
    } catch {
      this.#undo(null, 0, 0);
      stores?.takeDue(context.watermarkMs);
    }
  }

  #deliverResults(node: NodeRuntime): void {
    if (this.#refuseNextResult !== null && this.#refuseResults(node, this.#refuseNextResult))
      return;
    for (let output = 0; output < node.outputs.length; output += 1) {
      const rows = node.outputs[output]?.rows ?? null;
      if (rows === null) continue;
      for (let index = 0; index < rows.length; index += 1) {
        this.#books.settle();
        this.#setUndoPoint();
        try {
          this.#dataflow.runRow(node, output, rows, index);
          this.#state.keepUpdated();
        } catch (error) {
          this.#undo(null, 0, 0);
          this.#resultLetter(describe(error), rows.values[index]);
        }
      }
    }
  }

  /** All that one timer gives out is one dead letter: it was too large to be committed. */
  #refuseResults(node: NodeRuntime, refusal: StreamError): boolean {
    const values = node.outputs.flatMap(({ rows }) => rows?.values.slice(0, rows.length) ?? []);
    if (values.length === 0) return false;
    this.#refuseNextResult = null;
    this.#resultLetter(describe(refusal), values.length === 1 ? values[0] : values);
    return true;
  }

  #resultLetter(message: string, payload: unknown): void {
    const { operator } = this.#dataflow;
    this.#outputs.deadLetter({
      ...this.#position,
      ...{ code: 'STREAM_RESULT_FAILED', message, operator, payload },
    });
    this.#books.countStage('deadLetteredResults');
  }

  #setUndoPoint(): void {
    this.#undoPoint = this.#state.mark();
    this.#outputs.mark();
  }

  /** Back to the undo point. The events that run again are made anew: functions may have changed them. */
  #undo(segment: EventSegment | null, from: number, to: number): void {
    this.#state.rollback(this.#undoPoint);
    this.#outputs.rollbackToMark();
    this.#books.undo();
    if (segment === null) return;
    invariant(segment.reader !== null, 'a segment of several events can be read again');
    segment.reader.refresh(segment, from, to);
    if (this.#source === null) return;
    for (let at = from; at < to; at += 1) {
      if (segment.refusals[at] === undefined) this.#source.settle(segment, at);
    }
  }

  beforeCommit(): void {
    this.#fingerprints.note();
    if (!this.#isTimeChanged) return;
    this.#isTimeChanged = false;
    const { isDue } = this.#time;
    const { stepMs, targetMs } = this.#time;
    this.#savedTimes.put('time', {
      watermarkMs: this.watermarkMs,
      eventTimeMaxMs: this.eventTimeMaxMs,
      ...(isDue && stepMs < targetMs && { firedThroughMs: finiteOrNull(stepMs) }),
    });
  }

  afterRollback(): void {
    this.#readTimes();
    this.#books.forgetCounts();
    this.#fingerprints.assertSame();
  }

  #readTimes(): void {
    const saved = this.#savedTimes.get('time');
    const watermarkMs = saved?.watermarkMs ?? -Infinity;
    this.#time.targetMs = watermarkMs;
    const firedThroughMs = saved?.firedThroughMs;
    this.#time.stepMs = firedThroughMs === undefined ? watermarkMs : (firedThroughMs ?? -Infinity);
    this.#eventTimeMaxMs = saved?.eventTimeMaxMs ?? -Infinity;
    this.#isTimeChanged = false;
  }

  takeCounters(): Readonly<Record<string, number>> {
    return this.#books.takeCounts();
  }
}

function finiteOrNull(number: number): number | null {
  return Number.isFinite(number) ? number : null;
}
