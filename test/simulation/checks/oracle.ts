/**
 * The plain oracle: a fold over what producers sent and what hubs recorded, and the rows that a
 * reader of the lake sees. It shares no code with the engine, and none with the models.
 */
import { LedgerReader } from '../../../shared/ledger/ledger-reader';
import type { AppendStore, ObjectStore } from '../../../shared/model/ports';
import {
  exchangeHub,
  sourceStage,
  sourceTable,
  topologyName,
  windowMs,
  windowsName,
  windowTable,
} from '../world/topology';
import type { Checker } from './checker';
import { envelopeText } from './envelope-text';
import { same } from './invariants';
import type { EmittedOrder } from './source-task';

export interface OracleOptions {
  readonly checker: Checker;
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  /** Nothing can be late or lost on its way: the second table is a fold over the first. */
  readonly isEverythingOnTime: boolean;
}

/** Compares the tables and the ledger with what they must be, once a run has come to rest. */
export async function compareWithOracle(options: OracleOptions): Promise<void> {
  const { checker } = options;
  const found = new Map<string, string[]>();
  for (const { lake } of checker.tables) {
    const rows = await lake.rows();
    same(rows, lake.rowsDue, 'I3', `rows of ${lake.table}`);
    found.set(lake.table, rows);
  }
  const emitted = Array.from(checker.sources.values(), (task) => task.emitted).flat();
  same(found.get(sourceTable), rowsOf(emitted), 'I3', 'the source’s table');
  const windows = Array.from(checker.windows.values(), (task) => Array.from(task.windows.values()))
    .flat()
    .filter(({ table }) => table === windowTable);
  const rows = found.get(windowTable) ?? [];
  same(rows, windows.flatMap(({ given }) => given).sort(), 'I3', 'the windows’ table');
  if (options.isEverythingOnTime) {
    same(rows, minutesOf(withoutQuarantined(checker, emitted)), 'I7', 'the windows’ table, folded');
  }
  compareCounts(checker, emitted.length, rows);
  await compareLedger(options);
}

function rowsOf(orders: readonly EmittedOrder[]): string[] {
  return orders
    .map(({ note, order: { amount, customer, id, time } }) =>
      JSON.stringify([id, customer, time, amount, note]),
    )
    .sort();
}

function minutesOf(orders: readonly EmittedOrder[]): string[] {
  const minutes = new Map<string, [string, number, number, number]>();
  for (const { order, timeMs } of orders) {
    const { amount, customer } = order;
    const minute = timeMs - (timeMs % windowMs);
    const row = minutes.get(`${customer} ${minute}`) ?? [customer, minute, 0, 0];
    row[2] += 1;
    row[3] += amount;
    minutes.set(`${customer} ${minute}`, row);
  }
  return Array.from(minutes.values(), (row) => JSON.stringify(row)).sort();
}

/** An event that the second stage quarantined is in no window: it is known by its place there. */
function withoutQuarantined(
  checker: Checker,
  orders: readonly EmittedOrder[],
): readonly EmittedOrder[] {
  const gone = new Set<number>();
  for (const task of checker.windows.values()) {
    for (const place of task.quarantined) {
      const [incarnation = '', sequenceNumber, index] = place.split('/');
      const { bodies } = checker.hubs.partition(exchangeHub, incarnation, task.partition);
      const body = bodies[Number(sequenceNumber)];
      const [, , value] = (body && envelopeText(body).events[Number(index)]) ?? [];
      gone.add(Number(value?.['id'] ?? -1));
    }
  }
  return orders.filter(({ order: { id } }) => !gone.has(id));
}

/** What left the first stage came to the second, once each, or is declared missing there. */
function compareCounts(checker: Checker, emitted: number, rows: readonly string[]): void {
  let [arrived, inWindows, givenUp] = [checker.droppedBetweenVersions, 0, 0];
  for (const { ledger, missing, redriven, windows } of checker.windows.values()) {
    arrived += ledger.read - redriven + missing;
    const minutes = windows.get(windowsName);
    inWindows += minutes?.eventsTaken ?? 0;
    givenUp += minutes?.eventsGivenUp ?? 0;
    // An event is in each window that a build has, and late only where none took it.
    const isEach = Array.from(windows.values()).every(({ eventsTaken }) => {
      return eventsTaken <= ledger.emitted;
    });
    same(isEach, true, 'I1', 'events in windows');
  }
  same(arrived, emitted, 'I13', 'events that came through the exchange');
  const counted = rows.reduce((sum, row) => sum + Number((JSON.parse(row) as unknown[])[2]), 0);
  same(counted, inWindows - givenUp, 'I13', 'events in the windows’ rows');
}

/** `millrace ledger` recounts the logs: it must come to what the models counted. */
async function compareLedger({ appends, checker }: OracleOptions): Promise<void> {
  const reader = new LedgerReader({ appends, topology: topologyName });
  for (const { commits, ledger, path } of await reader.refresh()) {
    const models = path.stage === sourceStage ? checker.sources : checker.windows;
    const model = models.get(path.partition);
    const sorted = (counts: object | undefined): unknown => Object.entries(counts ?? {}).sort();
    const name = `${path.stage}/${path.partition}`;
    same(sorted(ledger), sorted(model?.ledger), 'I13', `${name}: its ledger, recounted`);
    same(commits, model?.commit, 'I13', `${name}: its commits, recounted`);
  }
}
