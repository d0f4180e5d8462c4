import type { Static, TObject } from 'typebox';
import type { Topology } from '../dataflow';
import type { SourceNode } from '../dataflow/graph';
import { columnsOf } from '../dataflow/schema';
import { LedgerReader, totalsByStage } from '../ledger/ledger-reader';
import { tableFolder } from '../lake/names';
import { readFileRows } from '../lake/read-file';
import { listLiveFiles } from '../lake/table-reader';
import type { LedgerCounts } from '../model/commit';
import type { Cell, TablePlan } from '../model/table';
import { readLetters } from '../operations/letters/letter-reader';
import { eventOfPayload } from '../task/dead-letter-payload';
import { stageFaultPoints } from '../task/services';
import { MemoryEngine } from './memory-engine';
import { Seeded } from './seeded';
import type { LateEvent } from './watched-stage';

/** A point in time: epoch milliseconds, a Date, or a text with its zone ('2026-01-01T10:00:00Z'). */
export type Instant = number | string | Date;

export interface TestOptions {
  /** Of each source's hub. Default 1. */
  readonly partitions?: number;
  /** Of each hub between stages. Default 2. */
  readonly exchangePartitions?: number;
  /**
   * What comes through an exchange where all that take it say what they need: in production these columns alone,
   * in a test whole values, so that `late()` can tell them. Default `values`.
   */
  readonly travels?: 'values' | 'columns';
}

export interface SendOptions<Event> {
  /** Of the source's hub; absent: one after the other in turn. */
  readonly partition?: number | ((event: Event) => number);
  /**
   * When the hub took the events in. Absent: at the time of each event, or at that of the one before
   * where that is later. It never goes back.
   */
  readonly at?: Instant;
}

export interface RestartOptions {
  /**
   * Where the worker dies: when it next comes by this point of the commit order. What it had in hand
   * comes again to the next worker. Absent: it has done all that was sent so far.
   */
  readonly at?: (typeof stageFaultPoints)[number];
}

export interface DeployOptions {
  /**
   * The builds from before stay, as in a rolling deploy: theirs and the next one's workers take turns with the
   * batches, until the next `restart` or `deploy`. Default: the next build is alone.
   */
  readonly alongside?: boolean;
}

/** An event that could not be processed, with its cause. */
export interface DeadEvent {
  readonly stage: string;
  readonly operator: string;
  /** As in docs/ERRORS.md. */
  readonly code: string;
  readonly message: string;
  /** As it was sent; a text where it never was JSON. */
  readonly event: unknown;
}

export type TableRow = Readonly<Record<string, Cell>>;

/** What is wrong with a test itself. */
export class WrongTest extends Error {
  override readonly name = 'WrongTest';
}

/**
 * Runs a topology for a test: the real engine, commit log and lake, in memory, under a clock of its own.
 * Steps are taken in the order of the calls; what asks for results waits for all steps before it.
 */
export function testTopology(topology: Topology, options: TestOptions = {}): TopologyTest {
  return new TopologyTest(topology, options);
}

export class TopologyTest {
  readonly #engine: MemoryEngine;
  readonly #ledger: LedgerReader;
  #steps: Promise<unknown> = Promise.resolve();
  /** When the hubs took in what came last. */
  #eventTimeMs = -Infinity;
  #advancedToMs = -Infinity;
  /** Batches handed over before a worker was told where to die. */
  #batchesAtRestart = 0;
  readonly #turns = new Map<string, number>();

  constructor(topology: Topology, options: TestOptions) {
    const { exchangePartitions = 2, partitions = 1, travels = 'values' } = options;
    assertCount('partitions', partitions);
    assertCount('exchangePartitions', exchangePartitions);
    this.#engine = new MemoryEngine(topology, {
      partitions: { source: partitions, exchange: exchangePartitions },
      isWhole: travels === 'values',
    });
    const { appends } = this.#engine;
    this.#ledger = new LedgerReader({ appends, topology: topology.name });
  }

  /**
   * Sends events to a source. Objects travel as JSON; a Uint8Array is sent as it is.
   * @throws WrongTest for a source or partition that there is not, or a value that JSON cannot hold
   */
  send<Event>(source: string, events: readonly Event[], options: SendOptions<Event> = {}): this {
    const node = this.#source(source);
    assertArray(events, source);
    const hub = this.#engine.hub(source);
    const count = hub?.partitionCount ?? 0;
    const atMs = options.at === undefined ? null : instantOf('at', options.at);
    if (atMs !== null && atMs < this.#eventTimeMs) {
      throw new WrongTest(`at: a hub's clock does not go back (it is ${iso(this.#eventTimeMs)})`);
    }
    const messages = events.map((event) => {
      const partition = this.#partition(source, count, event, options.partition);
      this.#eventTimeMs = atMs ?? Math.max(this.#eventTimeMs, timeOf(node, event));
      return { partition, body: bodyOf(event), atMs: this.#eventTimeMs };
    });
    return this.#step(async () => {
      for (const { atMs: enqueuedAtMs, body, partition } of messages) {
        this.#engine.moveClock(enqueuedAtMs);
        hub?.append(partition, body);
      }
    });
  }

  /**
   * Everything from before this time has come: the watermark of every source partition moves on to it,
   * and windows that it closes give out their results. An event from before it is late from now on.
   */
  advanceTo(time: Instant): this {
    const toMs = instantOf('advanceTo', time);
    if (toMs < this.#advancedToMs) {
      throw new WrongTest(`advanceTo: time does not go back (it is ${iso(this.#advancedToMs)})`);
    }
    this.#advancedToMs = toMs;
    this.#eventTimeMs = Math.max(this.#eventTimeMs, toMs);
    return this.#step(async () => {
      await this.#engine.settle();
      this.#engine.moveClock(toMs);
      await this.#engine.moveEventTime(toMs);
    });
  }

  /** Nothing comes any more: every window closes, as `millrace drain` ends a topology. */
  end(): this {
    return this.#step(() => this.#engine.moveEventTime(null));
  }

  /**
   * Nothing comes until then: only the clock goes on, and with it the time of a source that says `quiet`.
   * @throws WrongTest for a time before that of the hubs
   */
  waitUntil(time: Instant): this {
    const toMs = instantOf('waitUntil', time);
    if (toMs < this.#eventTimeMs) {
      throw new WrongTest(`waitUntil: time does not go back (it is ${iso(this.#eventTimeMs)})`);
    }
    this.#eventTimeMs = toMs;
    return this.#step(async () => {
      await this.#engine.settle();
      this.#engine.moveClock(toMs);
      await this.#engine.settle();
    });
  }

  /** A worker dies with all that it had in memory, and another goes on from the commit log. */
  restart(options: RestartOptions = {}): this {
    const { at } = options;
    if (at !== undefined && !stageFaultPoints.includes(at)) {
      throw new WrongTest(
        `restart: no point is called "${at}"; there is: ${stageFaultPoints.join(', ')}`,
      );
    }
    return this.#step(async () => {
      await this.#engine.settle();
      if (at === undefined) this.#engine.replaceWorkers();
      else {
        this.#engine.faults.diesAt = at;
        this.#batchesAtRestart = this.#engine.batches;
      }
    });
  }

  /**
   * Another build of the topology takes over, with all that this one has committed. Where the change needs
   * a decision, what asks for results next rejects with STREAM_DECISION_NEEDED.
   */
  deploy(next: Topology, { alongside = false }: DeployOptions = {}): this {
    const { name } = this.#engine.topology;
    if (next.name !== name) {
      throw new WrongTest(
        `deploy: a build of ${name} is followed by another of it, not by ${next.name}`,
      );
    }
    return this.#step(async () => {
      await this.#engine.settle();
      this.#engine.begin(next, { isAlone: !alongside });
    });
  }

  /**
   * From here on a seed decides how batches are cut and in which order partitions and stages take
   * turns. Tables must come out the same for every seed.
   */
  interleave(seed: number): this {
    assertSeed('interleave', seed);
    return this.#step(async () => {
      await this.#engine.settle();
      this.#engine.chance = new Seeded(seed);
    });
  }

  /**
   * From here on a seed decides what goes wrong: workers die at steps of the commit order, stores and hubs do
   * not answer (and have done what was asked for, or not), the host hands messages over again, or goes on
   * behind a batch that failed. Tables must come out the same for every seed. `faults()` says what happened.
   */
  withFaults(seed: number): this {
    assertSeed('withFaults', seed);
    return this.#step(async () => {
      await this.#engine.settle();
      this.#engine.faults.begin(seed);
    });
  }

  /** Resolves when every step is taken and every event processed. */
  async settled(): Promise<void> {
    await this.#step(() => this.#engine.settle()).#steps;
    const { diesAt } = this.#engine.faults;
    // A death that never came proves nothing.
    if (diesAt === null || this.#engine.batches === this.#batchesAtRestart) return;
    throw new WrongTest(`restart: no worker has come by ${diesAt} since, and none died`);
  }

  /** What went wrong so far, oldest first: deaths that the test asked for, and all that a seed decided. */
  async faults(): Promise<readonly string[]> {
    await this.settled();
    return this.#engine.faults.struck;
  }

  /**
   * The rows of a table, ordered by their columns from first to last. With the schema that the table
   * was written with they have its type.
   * @throws WrongTest where no table has the name, or the schema is another one's
   */
  async table(name: string): Promise<TableRow[]>;
  async table<Schema extends TObject>(name: string, schema: Schema): Promise<Static<Schema>[]>;
  async table(name: string, schema?: TObject): Promise<TableRow[]> {
    await this.settled();
    const table = this.#table(name);
    if (schema !== undefined) assertSchema(table, schema);
    const { lake } = this.#engine;
    const place = { objects: lake, folder: tableFolder(name), format: table.format };
    const rows: TableRow[] = [];
    for (const file of await listLiveFiles(place)) {
      const bytes = await lake.get(file.name);
      if (bytes === undefined) throw new Error(`the live file ${file.name} is gone`);
      const { partitionValues } = file;
      for (const row of await readFileRows(table, { bytes, partitionValues, name: file.name })) {
        rows.push(
          Object.fromEntries(
            table.columns.map((column, place) => [column.name, row[place] ?? null]),
          ),
        );
      }
    }
    return rows.sort((left, right) => compareRows(table, left, right));
  }

  /** Events that every window they belong to refused as late; those of side outputs are emitted. */
  async late(): Promise<readonly LateEvent[]> {
    await this.settled();
    return this.#engine.watch.lateEvents();
  }

  /** Events that could not be processed, oldest first within a stage and partition. */
  async deadLetters(): Promise<readonly DeadEvent[]> {
    await this.settled();
    const filed = await readLetters(this.#engine.appends, this.#engine.topology.name);
    return filed.map(({ letter, path }) => {
      const bytes = Buffer.from(letter.payloadBase64, 'base64');
      const { code, message, operator } = letter;
      const event = eventOfPayload(bytes)?.value ?? bytes.toString('utf8');
      return { stage: path.stage, operator, code, message, event };
    });
  }

  /** How many events each stage has read, and how they ended. */
  async ledger(): Promise<Readonly<Record<string, LedgerCounts>>> {
    await this.settled();
    return Object.fromEntries(totalsByStage(await this.#ledger.refresh()));
  }

  #step(take: () => Promise<unknown>): this {
    const taken = this.#steps.then(take);
    // Whoever waits for results hears of it.
    taken.catch(() => undefined);
    this.#steps = taken;
    return this;
  }

  #source(name: string): SourceNode {
    const sources = this.#engine.topology.nodes.filter(({ kind }) => kind === 'source');
    const source = sources.find((node) => node.name === name);
    if (source?.kind === 'source') return source;
    throw new WrongTest(`no source is called "${name}"; there is: ${namesOf(sources)}`);
  }

  #table(name: string): TablePlan {
    const tables = this.#engine.stages.flatMap((stage) => stage.tables);
    const table = tables.find((one) => one.name === name);
    if (table !== undefined) return table;
    throw new WrongTest(`no table is called "${name}"; there is: ${namesOf(tables)}`);
  }

  #partition<Event>(
    source: string,
    count: number,
    event: Event,
    chosen: SendOptions<Event>['partition'],
  ): number {
    if (chosen === undefined) {
      const turn = this.#turns.get(source) ?? 0;
      this.#turns.set(source, turn + 1);
      return turn % count;
    }
    const partition = typeof chosen === 'function' ? chosen(event) : chosen;
    if (Number.isInteger(partition) && partition >= 0 && partition < count) return partition;
    throw new WrongTest(
      `partition ${partition}: ${source} has ${count}, from 0 on (testTopology(…, { partitions }))`,
    );
  }
}

function assertSeed(name: string, seed: number): void {
  if (Number.isSafeInteger(seed)) return;
  throw new WrongTest(`${name}: a seed is a whole number, it is ${String(seed)}`);
}

function assertArray(events: unknown, source: string): void {
  if (Array.isArray(events)) return;
  const isObject = typeof events === 'object' && events !== null;
  const found = isObject ? 'one object' : String(events);
  throw new WrongTest(`send takes an array of events for ${source}, not ${found}`);
}

function assertCount(name: string, count: number): void {
  if (Number.isInteger(count) && count >= 1) return;
  throw new WrongTest(`${name} must be a whole number from 1, it is ${count}`);
}

function namesOf(parts: readonly { readonly name: string }[]): string {
  return parts.map(({ name }) => name).join(', ') || 'none';
}

function instantOf(name: string, time: Instant): number {
  const isZoned = typeof time !== 'string' || /^\d{4}-\d\d-\d\d$|(?:Z|[+-]\d\d:\d\d)$/.test(time);
  const ms = isZoned ? new Date(time).getTime() : NaN;
  if (Number.isInteger(ms)) return ms;
  throw new WrongTest(
    `${name} must be epoch milliseconds, a Date or a text with its zone as in 2026-01-01T10:00:00Z, it is ${String(time)}`,
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** The event's time as the topology reads it; −Infinity where it has none: the engine says so. */
function timeOf(source: SourceNode, event: unknown): number {
  try {
    const eventTime = source.eventTime as (event: unknown) => unknown;
    const time = eventTime(event);
    return typeof time === 'number' && Number.isFinite(time) ? Math.floor(time) : -Infinity;
  } catch {
    return -Infinity;
  }
}

function bodyOf(event: unknown): Uint8Array {
  if (event instanceof Uint8Array) return event;
  let text: string | undefined;
  try {
    text = JSON.stringify(event);
  } catch (cause) {
    throw new WrongTest(
      `an event cannot be sent as JSON (${(cause as Error).message}): send its bytes, as a Uint8Array`,
      { cause },
    );
  }
  if (text !== undefined) return Buffer.from(text);
  throw new WrongTest(`${String(event)} cannot be sent as JSON`);
}

function assertSchema(table: TablePlan, schema: TObject): void {
  const wanted = textOf(columnsOf(schema, table.partitionBy).columns);
  const written = textOf(table.columns);
  if (wanted === written) return;
  throw new WrongTest(
    `table ${table.name} was written with another schema: it has ${written}, the one given has ${wanted}`,
  );
}

function textOf(columns: TablePlan['columns']): string {
  return columns
    .map(({ name, nullable, type }) => `${name} ${type}${nullable ? ' or null' : ''}`)
    .join(', ');
}

function compareRows({ columns }: TablePlan, left: TableRow, right: TableRow): number {
  for (const { name } of columns) {
    const [one, other] = [left[name] ?? null, right[name] ?? null];
    if (one === other) continue;
    if (one === null || other === null) return one === null ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return 0;
}
