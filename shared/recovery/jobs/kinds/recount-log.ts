import { listGenerations } from '../../../commit-log/generation-list';
import { incarnationOf } from '../../../commit-log/incarnations';
import { readLog } from '../../../commit-log/log-reader';
import type { LogPath } from '../../../commit-log/names';
import { getSnapshot } from '../../../commit-log/snapshots';
import { isBalanced } from '../../../ledger/ledger-reader';
import {
  addLedgers,
  compareCursors,
  emptyLedger,
  type CommitRecord,
  type Cursor,
  type LedgerCounts,
  type StateChange,
} from '../../../model/commit';
import type { AppendStore, ObjectStore } from '../../../model/ports';
import { hashBodies } from '../../../stage/batch-outputs';
import type { SurveyedStage } from '../../survey/surveyor';
import { decodeMessage } from '../../../ingest/decode';
import type { HubMessage } from '../../../model/ports';

/** Something that does not agree. */
export interface Discrepancy {
  readonly where: string;
  readonly what: string;
}

/** One log, recounted. */
export interface Recount {
  readonly path: LogPath;
  readonly firstCommit: number;
  readonly lastCommit: number;
  readonly epoch: number;
  readonly ledger: LedgerCounts;
  readonly deadLetters: number;
  /** Events whose bytes in the hub were compared with what the log says it read. */
  readonly comparedWithHub: number;
  /** Rows of commits that the table says it holds, by table. */
  readonly flushedRows: Readonly<Record<string, number>>;
  /** Ordinal of the last event sent, by `<hub>/<partition>`; and taken in, by producer. */
  readonly sent: Readonly<Record<string, number>>;
  readonly taken: Readonly<Record<string, number>>;
  readonly lastOutboxAtMs: number;
  readonly recountedAtMs: number;
  /** Messages in the hub that are not read yet. */
  readonly lag: number;
  readonly discrepancies: readonly Discrepancy[];
}

const discrepanciesMax = 50;
const hubReadMessages = 1_000;

export interface RecountRequest {
  readonly path: LogPath;
  readonly stage: SurveyedStage;
  /** By table: the commit up to which it holds this task's rows, by epoch. */
  readonly flushedThrough: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly withHub: boolean;
  readonly beat: (done: number, of: number) => Promise<void>;
}

/** Recounts one log from its records, and compares what it says it read with what the hub holds. */
export async function recountLog(
  stores: { readonly appends: AppendStore; readonly objects: ObjectStore },
  request: RecountRequest,
): Promise<Recount> {
  const work = new LogRecount(request);
  await work.readFrom(stores);
  if (request.withHub) await work.compareWithHub();
  return work.result();
}

class LogRecount {
  readonly #request: RecountRequest;
  readonly #found: Discrepancy[] = [];
  readonly #rows: { readonly table: string; readonly commit: number; readonly count: number }[] =
    [];
  readonly #sent: Record<string, number> = {};
  readonly #taken: Record<string, number> = {};
  readonly #reads: CommitRecord[] = [];
  #ledger: LedgerCounts = emptyLedger;
  #first = 0;
  #last = 0;
  #epoch = 0;
  #letters = 0;
  #compared = 0;
  #lag = 0;
  #lastOutboxAtMs = 0;
  #cursor: Cursor | null = null;

  constructor(request: RecountRequest) {
    this.#request = request;
  }

  async readFrom(stores: { appends: AppendStore; objects: ObjectStore }): Promise<void> {
    const { path } = this.#request;
    const generations = await listGenerations(stores.appends, path);
    const begin = { generation: generations[0] ?? 0, position: 0 };
    const { records } = await readLog(stores.appends, path, begin, generations);
    for (const record of records) {
      if (record.kind === 'header' && record.snapshot !== null && this.#first === 0) {
        const bytes = await getSnapshot(stores.objects, record.snapshot);
        const snapshot = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
          commit: number;
          cursor: Cursor | null;
          state: readonly StateChange[];
        };
        this.#last = snapshot.commit;
        this.#cursor = snapshot.cursor;
        this.#takeState(snapshot.state);
      }
      if (record.kind === 'commit') this.#take(record);
    }
  }

  #say(what: string): void {
    const { incarnation, partition, stage, topology } = this.#request.path;
    if (this.#found.length >= discrepanciesMax) return;
    this.#found.push({ where: `${topology}/${stage}/${incarnation}/${partition}`, what });
  }

  #take(record: CommitRecord): void {
    const { commit, deadLetters, from, ledger, to } = record;
    if (this.#first === 0) this.#first = commit;
    if (commit !== this.#last + 1 && this.#last !== 0) {
      this.#say(`commit ${commit} follows commit ${this.#last}`);
    }
    if (this.#cursor !== null && compareCursors(this.#cursor, from) !== 0) {
      this.#say(
        `commit ${commit} begins at ${at(from)}, the one before ended at ${at(this.#cursor)}`,
      );
    }
    if (compareCursors(to, from) < 0) this.#say(`commit ${commit} ends before it begins`);
    if (!isBalanced(ledger))
      this.#say(`commit ${commit}: ${JSON.stringify(ledger)} is not balanced`);
    const letters = deadLetters.filter(({ code }) => code !== 'STREAM_RESULT_FAILED').length;
    if (letters !== ledger.deadLettered) {
      this.#say(`commit ${commit} counts ${ledger.deadLettered} dead letters and holds ${letters}`);
    }
    this.#letters += letters;
    this.#ledger = addLedgers(this.#ledger, ledger);
    for (const { count, table } of record.rows) this.#rows.push({ table, commit, count });
    if (record.outbox.length > 0) this.#lastOutboxAtMs = record.committedAtMs;
    this.#takeState(record.state);
    if (record.messages > 0) {
      // Only what the comparison with the hub needs: rows and outboxes of a log are large.
      this.#reads.push({ ...record, rows: [], outbox: [], state: [], deadLetters: [] });
    }
    this.#last = commit;
    this.#cursor = to;
  }

  #takeState(changes: readonly StateChange[]): void {
    for (const { puts, store } of changes) {
      for (const [key, value] of puts) {
        const { ordinal } = (value ?? {}) as { ordinal?: number };
        if (store.startsWith('$outbox:')) {
          this.#sent[`${store.slice('$outbox:'.length)}/${key}`] = ordinal ?? 0;
        }
        if (store === '$producers') this.#taken[key] = ordinal ?? 0;
        if (store === '$task' && key === 'epoch') this.#epoch = Number(value);
      }
    }
  }

  /** Reads the committed range from the hub again, as far back as the hub still has it. */
  async compareWithHub(): Promise<void> {
    const { beat, path, stage } = this.#request;
    const { hub } = stage.services;
    if (incarnationOf(await hub.describe()) !== path.incarnation) return;
    const bounds = await hub.bounds(path.partition);
    const next = this.#cursor?.sequenceNumber ?? bounds.firstSequenceNumber;
    this.#lag = bounds.isEmpty ? 0 : Math.max(0, bounds.lastSequenceNumber + 1 - next);
    let window: readonly HubMessage[] = [];
    for (const [index, record] of this.#reads.entries()) {
      await beat(index, this.#reads.length);
      const first = record.from.sequenceNumber;
      const last = record.to.index > 0 ? record.to.sequenceNumber : record.to.sequenceNumber - 1;
      if (bounds.isEmpty || first < bounds.firstSequenceNumber) continue;
      while ((window.at(-1)?.sequenceNumber ?? -1) < last) {
        const kept = window.filter(({ sequenceNumber }) => sequenceNumber >= first);
        const more = await hub.read({
          partitionId: path.partition,
          firstSequenceNumber: (kept.at(-1)?.sequenceNumber ?? first - 1) + 1,
          lastSequenceNumber: Math.min(next, bounds.lastSequenceNumber),
          messagesMax: hubReadMessages,
        });
        if (more.length === 0) break;
        window = [...kept, ...more];
      }
      const own = window.filter(
        ({ sequenceNumber }) => sequenceNumber >= first && sequenceNumber <= last,
      );
      this.#compare(record, own);
    }
  }

  #compare(record: CommitRecord, messages: readonly HubMessage[]): void {
    const { commit, from, ledger, to } = record;
    if (messages.length !== record.messages) {
      this.#say(
        `commit ${commit} read ${record.messages} messages from ${at(from)} to ${at(to)}, the hub holds ${messages.length}`,
      );
      return;
    }
    const hash = hashBodies(messages.map(({ body }) => body));
    if (hash !== record.inputHash) {
      this.#say(`commit ${commit}: the hub holds other bytes from ${at(from)} to ${at(to)}`);
      return;
    }
    this.#compared += ledger.read;
    if (this.#request.stage.plan.input.kind !== 'source') return;
    const held = messages.reduce((sum, { body }) => sum + decodeMessage(body).length, 0);
    const lastMessage = messages.at(-1);
    const after =
      to.index > 0 && lastMessage !== undefined
        ? decodeMessage(lastMessage.body).length - to.index
        : 0;
    const events = held - from.index - after;
    if (events !== ledger.read) {
      this.#say(`commit ${commit} counts ${ledger.read} events, its messages hold ${events}`);
    }
  }

  result(): Recount {
    const { flushedThrough, path, stage } = this.#request;
    const flushedRows: Record<string, number> = {};
    for (const { name } of stage.plan.tables) {
      const through = flushedThrough[name]?.[String(this.#epoch)] ?? 0;
      flushedRows[name] = this.#rows
        .filter(({ commit, table }) => table === name && commit <= through)
        .reduce((sum, { count }) => sum + count, 0);
    }
    return {
      ...{ path, flushedRows, firstCommit: this.#first, lastCommit: this.#last },
      ...{ epoch: this.#epoch, ledger: this.#ledger, deadLetters: this.#letters },
      ...{ comparedWithHub: this.#compared, sent: this.#sent, taken: this.#taken, lag: this.#lag },
      lastOutboxAtMs: this.#lastOutboxAtMs,
      recountedAtMs: stage.services.clock.nowMs(),
      discrepancies: this.#found,
    };
  }
}

function at({ index, sequenceNumber }: Cursor): string {
  return `${sequenceNumber}.${index}`;
}
