import type { LogPosition } from '../commit-log/log-reader';
import type { Bequest } from '../commit-log/task-log-options';
import type { LoadedLog } from '../commit-log/task-log';
import { emptyLedger } from '../model/commit';
import type {
  CommitRecord,
  Cursor,
  HeaderRecord,
  LedgerCounts,
  LogRecord,
  OutboxMessage,
  TableRows,
  TaskSummary,
  Tick,
} from '../model/commit';
import { invariant } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { Row, TablePlan } from '../model/table';
import { Producers, producingStages } from '../delivery/exchange/producers';
import { parseKeptTable, tableTextKept } from './kept-state';
import { summaryOfNextLife, type LifeBeginning } from './promotion';
import { inSlices, type SlicedWorld } from '../state/slices';
import type { StateSnapshot } from '../state/snapshot';
import { TaskStores, type StateSize } from '../state/task-stores';

/** Rows of one commit that are in the log and not yet known to be in the lake. */
export interface PendingRows {
  readonly commit: number;
  readonly place: LogPosition;
  readonly committedAtMs: number;
  readonly watermarkMs: number | null;
  readonly bytes: number;
  readonly count: number;
  /** The table that they are for: the plan's or, where that lacks it or a column of theirs, the log's own. */
  readonly table: TablePlan;
  /** Parsed only when flushed. */
  readonly rows: () => readonly Row[];
}

/** Messages of one commit not yet known to have arrived in their exchange hubs. */
export interface PendingOutbox {
  readonly commit: number;
  readonly place: LogPosition;
  readonly messages: readonly OutboxMessage[];
}

type StatePlan = Pick<StagePlan, 'tables' | 'input'>;

/** A task's life as its log tells it: replaying the same records always gives the same TaskState. */
export class TaskState {
  readonly keyed = new TaskStores();
  /** What the log says after its last commit; null before there is one. */
  summary: TaskSummary | null = null;
  /** Null until the first commit: the hub's first message decides where a new task begins. */
  cursor: Cursor | null = null;
  /** What this process knows beyond the log: how far outputs have left since. */
  outboxConfirmedThrough = 0;
  readonly flushedThrough = new Map<string, number>();
  /** By table: also of tables that the plan no longer has, whose rows have not left yet. */
  readonly pendingRows: Map<string, PendingRows[]>;
  /** Tables that neither plan nor log know any more, with the last commit that holds rows for them. */
  readonly rowsWithoutTable = new Map<string, number>();
  readonly pendingOutbox: PendingOutbox[] = [];
  /**
   * Tables know of earlier lives of this task: should it have no birth yet, it was born after them. Never 0,
   * which says that there is none, whatever the clock says.
   */
  epochMin = 1;
  /** The keyed state is the one after this commit, though its record was not read. */
  baseCommit = 0;

  readonly #plan: StatePlan;
  readonly #tables: ReadonlyMap<string, TablePlan>;
  /** As the log has them: its texts are long, and the same for a long time. */
  readonly #keptTables = new Map<string, { readonly text: string; readonly table: TablePlan }>();

  constructor(plan: StatePlan) {
    this.#plan = plan;
    this.#tables = new Map(plan.tables.map((table) => [table.name, table]));
    this.pendingRows = new Map(plan.tables.map((table) => [table.name, []]));
  }

  /** The state that a log's base says: its records come next, through `take`. */
  static async fromBase(
    plan: StatePlan,
    { base, parts }: Pick<LoadedLog, 'base' | 'parts'>,
    world: SlicedWorld & { readonly onPart?: (size: StateSize) => void },
  ): Promise<TaskState> {
    const task = new TaskState(plan);
    for (const part of parts) {
      await inSlices(task.keyed.restoring(part), world);
      world.onPart?.(task.keyed.size);
    }
    task.baseCommit = base?.commit ?? 0;
    return task;
  }

  get commit(): number {
    return Math.max(this.summary?.commit ?? 0, this.baseCommit);
  }

  get ledger(): LedgerCounts {
    return this.summary?.ledger ?? emptyLedger;
  }

  get lastCommittedAtMs(): number {
    return this.summary?.committedAtMs ?? 0;
  }

  get tick(): Tick | null {
    return this.summary?.tick ?? null;
  }

  /**
   * The birth of the task's state, said by its first commit: it tells consumers and tables apart from
   * those of a log that was deleted and begun anew, whose numbers start again at 1. Undefined before.
   */
  get epoch(): number | undefined {
    const epoch = this.summary?.epoch ?? 0;
    return epoch === 0 ? undefined : epoch;
  }

  /** Before the first commit: these begin with that epoch, and nothing older of theirs counts. */
  expectProducers(producers: readonly string[], epoch: number): void {
    new Producers(this.keyed, producingStages(this.#plan.input)).expect(producers, epoch);
    this.keyed.settle();
  }

  /** Takes in a record read from the log. */
  take(record: LogRecord): void {
    if (record.kind === 'header') this.#takeHeader(record);
    if (record.kind !== 'commit') return;
    if (record.commit > this.baseCommit) this.keyed.apply(record.state);
    // Where in its generation is not known: reading more than is needed does no harm.
    this.#advance(record, { generation: record.summary.generation, position: 0 });
  }

  /** Where the log was read from its middle, or begins with what it inherited, the header knows more. */
  #takeHeader({ summary }: HeaderRecord): void {
    if (summary === null || summary.commit <= (this.summary?.commit ?? -1)) return;
    this.summary = summary;
    this.cursor = summary.cursor;
    this.#confirm(summary);
  }

  /** Takes over a commit this process just made: its state is already in `keyed`. */
  settleCommit(record: CommitRecord, place: LogPosition): void {
    this.keyed.settle();
    this.#advance(record, place);
  }

  #advance(record: CommitRecord, place: LogPosition): void {
    const { commit, summary } = record;
    invariant(commit === (this.summary?.commit ?? commit - 1) + 1, 'commits follow each other', {
      commit,
      after: this.summary?.commit,
    });
    this.summary = summary;
    this.cursor = record.to;
    for (const rows of record.rows) {
      const kept = this.#keptTable(rows.table);
      const table = tableFor(this.#tables.get(rows.table), kept);
      if (table === null) {
        this.rowsWithoutTable.set(rows.table, commit);
        continue;
      }
      let pending = this.pendingRows.get(rows.table);
      if (pending === undefined) this.pendingRows.set(rows.table, (pending = []));
      pending.push(pendingRows(rows, record, place, { table, kept }));
    }
    if (record.outbox.length > 0)
      this.pendingOutbox.push({ commit, place, messages: record.outbox });
    this.#confirm(summary);
  }

  #keptTable(name: string): TablePlan | null {
    const text = tableTextKept(this.keyed, name);
    if (text === undefined) return null;
    let kept = this.#keptTables.get(name);
    if (kept?.text !== text) {
      kept = { text, table: parseKeptTable(name, text) };
      this.#keptTables.set(name, kept);
    }
    return kept.table;
  }

  #confirm({ flushedThrough, outboxConfirmedThrough }: TaskSummary): void {
    this.confirmOutbox(outboxConfirmedThrough);
    for (const [table, through] of Object.entries(flushedThrough)) {
      this.confirmFlush(table, through);
    }
  }

  /** All outboxes have arrived, and whoever reads the log cannot know it. */
  get isArrivalUntold(): boolean {
    const { lastOutbox = null, outboxConfirmedThrough = 0 } = this.summary ?? {};
    return this.pendingOutbox.length === 0 && (lastOutbox?.commit ?? 0) > outboxConfirmedThrough;
  }

  /** Where the oldest commit stands whose outputs have not all left; null: all have. */
  oldestOwed(): LogPosition | null {
    let oldest: PendingRows | PendingOutbox | null = this.pendingOutbox[0] ?? null;
    for (const [first] of this.pendingRows.values()) {
      if (first !== undefined && first.commit < (oldest?.commit ?? Infinity)) oldest = first;
    }
    return oldest?.place ?? null;
  }

  /** Outboxes up to that commit have arrived. */
  confirmOutbox(throughCommit: number): void {
    this.outboxConfirmedThrough = Math.max(this.outboxConfirmedThrough, throughCommit);
    while ((this.pendingOutbox[0]?.commit ?? Infinity) <= throughCommit) this.pendingOutbox.shift();
  }

  /** A table holds this task's rows up to that commit. */
  confirmFlush(table: string, throughCommit: number): void {
    this.flushedThrough.set(table, Math.max(this.flushedThrough.get(table) ?? 0, throughCommit));
    const pending = this.pendingRows.get(table);
    if (pending === undefined) return;
    const kept = pending.findIndex((rows) => rows.commit > throughCommit);
    pending.splice(0, kept === -1 ? pending.length : kept);
  }

  /**
   * What the log of the hub as it was created again begins with. Of a partition that had ended the end of
   * time was its former life's.
   */
  bequestToNewHub(): Bequest | null {
    if (this.summary === null) return null;
    const summary = { ...this.summary, cursor: null };
    if (summary.tick?.isEnd !== true) return this.bequest(summary);
    this.keyed.store('$time').delete('time');
    this.keyed.settle();
    return this.bequest({ ...summary, tick: null, watermarkMs: null });
  }

  /** What the next life on the same hub begins with, where that was promoted. */
  bequestToPromotedHub(beginning: LifeBeginning, noticedAtMs: number): Bequest | null {
    if (this.summary === null) return null;
    return this.bequest(summaryOfNextLife(this.summary, beginning, noticedAtMs));
  }

  /** The whole of it, for a log that begins with it. Outputs must have left by then. */
  bequest(summary: TaskSummary): Bequest {
    return { summary, parts: Array.from(partsOf(this.keyed.beginSnapshot())) };
  }
}

/** All parts of a snapshot, encoded as they are asked for. */
export function* partsOf(snapshot: StateSnapshot): Generator<Uint8Array> {
  while (!snapshot.isDone) {
    const part = snapshot.next(() => false);
    if (part !== null) yield part;
  }
}

/**
 * Rows wait as the bytes that the log has: off the heap, where many of them cost nothing to keep.
 * Apart from its caller: a closure in there would keep the whole record.
 */
function pendingRows(
  { count, lines }: TableRows,
  { commit, committedAtMs, summary, watermarkMs: reachedMs }: CommitRecord,
  place: LogPosition,
  { kept, table }: { readonly table: TablePlan; readonly kept: TablePlan | null },
): PendingRows {
  // What is due by then and not given out yet is not in these rows.
  const watermarkMs = summary.isFiringDue ? null : reachedMs;
  const bytes = lines.byteLength;
  const places = placesOf(table, kept);
  const rowsOf = (): readonly Row[] => parseRows(lines, places);
  return { commit, place, committedAtMs, watermarkMs, bytes, count, table, rows: rowsOf };
}

/** A column that the plan's table lacks would be lost with it: a newer build wrote it, and was rolled back. */
function tableFor(planned: TablePlan | undefined, kept: TablePlan | null): TablePlan | null {
  if (planned === undefined || kept === null) return planned ?? kept;
  const known = new Set(planned.columns.map(({ name }) => name));
  return kept.columns.every(({ name }) => known.has(name)) ? planned : kept;
}

/**
 * Where a row of the log has what the table's columns ask for: a build before this one may have had fewer columns,
 * or in another order. Null: each in its place.
 */
function placesOf(table: TablePlan, kept: TablePlan | null): readonly number[] | null {
  if (kept === null || kept === table) return null;
  const known = kept.columns.map(({ name }) => name);
  const places = table.columns.map(({ name }) => known.indexOf(name));
  const isSame = places.length === known.length && places.every((place, at) => place === at);
  return isSame ? null : places;
}

function parseRows(lines: Uint8Array, places: readonly number[] | null): Row[] {
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString('utf8');
  // Our own encoder wrote one JSON array a line and the record's CRC vouches for it.
  const rows = JSON.parse(`[${text.replaceAll('\n', ',')}]`) as Row[];
  if (places === null) return rows;
  return rows.map((row) => places.map((place) => row[place] ?? null));
}
