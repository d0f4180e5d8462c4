import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFolder } from '../../shared/lake/names';
import { readTable } from '../../shared/lake/table-reader';
import { isTimeOver } from '../../shared/time/exchange-time';
import { plan } from '../../shared/planner';
import { isFlushed, totalsByStage, type TaskAccount } from '../../shared/ledger/ledger-reader';
import { compareFlights } from '../oracle/flights-oracle';
import { startReplay, type ReplayProcess } from '../replay/process';
import { assertBuilt, type App } from '../app';
import { startStack, type Scaling, type Stack } from '../stack';
import { stopSignal } from '../stop-signal';
import { drain, openStore, type Store } from '../store';
import type { Output } from '../output';

export interface DemoOptions {
  readonly events: number;
  readonly workers: number;
  readonly scaling: Scaling;
  readonly isPacked: boolean;
  readonly rate: number;
  readonly keep: boolean;
}

const topology = 'flights';
const pollIntervalMs = 500;
/** Nothing moves for this long: the run has failed. */
const standstillMs = 120_000;

export interface DemoResult {
  readonly sent: number;
  readonly accounted: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly eventsPerSecond: number;
  readonly isRight: boolean;
}

/**
 * A finite run with a worker killed in the middle, checked against an independent oracle: what the
 * README promises, shown. Null: stopped by Ctrl-C.
 */
export async function demo(
  app: App,
  options: DemoOptions,
  output: Output,
): Promise<DemoResult | null> {
  assertBuilt(app);
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  const hostLines: string[] = [];
  const stop = stopSignal();
  output.say(`Starting emulator, storage and ${options.workers} worker(s) …`);
  let stack: Stack | undefined;
  let replay: ReplayProcess | undefined;
  try {
    stack = await startStack({
      app,
      dataDirectory,
      workers: options.workers,
      scaling: options.scaling,
      ports: { amqp: 0, control: 0, blob: 0, http: 0 },
      leases: {
        partitionOwnershipExpirationIntervalMs: 10_000,
        loadBalancingUpdateIntervalMs: 1_000,
      },
      settings: { MILLRACE_TEND_INTERVAL_MS: '500', MILLRACE_STALL_AFTER_MS: '5000' },
      log: (line) => hostLines.push(line),
    });
    replay = startReplay(app.processes.replay, {
      connectionString: stack.emulator.connectionString,
      events: options.events,
      rate: options.rate,
      isPacked: options.isPacked,
    });
    const running = { ...stack, app, dataDirectory, replay, isStopping: stop.isRequested };
    const result = await Promise.race([
      run(options, running, output),
      failing(stack, replay),
      stop.requested.then(() => null),
    ]);
    if (result !== null && !result.isRight) output.say(hostLines.slice(-40).join('\n'));
    return result;
  } finally {
    await replay?.stop();
    await stack?.close();
    stop.release();
    if (options.keep) output.say(`Everything is kept in ${dataDirectory}`);
    else rmSync(dataDirectory, { recursive: true, force: true });
  }
}

interface Running extends Stack {
  readonly app: App;
  readonly dataDirectory: string;
  readonly replay: ReplayProcess;
  readonly isStopping: () => boolean;
}

/** Rejects when something that the run needs has ended; else it never settles. */
async function failing(stack: Stack, replay: ReplayProcess): Promise<never> {
  const never = new Promise<never>(() => undefined);
  const lost = stack.lost.then((error) => Promise.reject(error));
  return Promise.race([lost, replay.done.then(() => never)]);
}

async function run(
  options: DemoOptions,
  running: Running,
  output: Output,
): Promise<DemoResult | null> {
  const { replay } = running;
  const store = openStore(running.azurite.connectionString);
  const ledger = store.ledger(topology);
  let startedAtMs = 0;
  let isKilled = false;
  let isDraining = false;
  let seen = { events: 0, atMs: Date.now() };
  for (;;) {
    const accounts = await ledger.refresh();
    if (running.isStopping()) return null;
    const read = readOf(accounts, 'flights');
    if (read > 0 && startedAtMs === 0) startedAtMs = Date.now();
    const all = accounts.reduce((total, { ledger: { read: events } }) => total + events, 0);
    if (all !== seen.events) seen = { events: all, atMs: Date.now() };
    output.progress(
      `workers ${running.host.workers.length}   sent ${replay.sent()}   committed ${read} of ${options.events}   by airport ${readOf(accounts, 'by-origin')}`,
    );
    if (!isKilled && read >= options.events / 2) {
      isKilled = true;
      const [victim] = running.host.workers;
      if (victim !== undefined) {
        running.host.killWorker(victim.id);
        output.say(`kill -9 of worker ${victim.id} (pid ${victim.pid}) after ${read} events`);
      }
    }
    if (!isDraining && read >= options.events) {
      isDraining = true;
      await replay.done;
      await drain(store, topology);
    }
    if (isDraining && isDrained(accounts) && (await areFlushed(running.app, store, accounts)))
      break;
    if (Date.now() - seen.atMs > standstillMs) throw new Error('nothing has moved for two minutes');
    await new Promise((resolve) => setTimeout(resolve, pollIntervalMs));
  }
  const finishedAtMs = Date.now();
  await running.scaler.close();
  // Workers drain and flush what they hold; the tables are read when they have ended.
  await running.host.drain();
  output.say('Comparing the tables with DuckDB over the original file …');
  const comparisons = await compareFlights({
    lake: store.lake,
    events: options.events,
    workDirectory: join(running.dataDirectory, 'oracle'),
  });
  const accounts = await ledger.refresh();
  const totals = totalsByStage(accounts).get('flights');
  for (const { expected, extra, found, missing, sample, table } of comparisons) {
    const verdict =
      missing + extra === 0 ? 'equal' : `DIFFERENT: ${missing} missing, ${extra} extra`;
    output.say(`table ${table}: ${found} rows, ${expected} expected: ${verdict}`);
    if (sample.length > 0) output.say(JSON.stringify(sample));
  }
  const accounted =
    (totals?.emitted ?? 0) +
    (totals?.filtered ?? 0) +
    (totals?.late ?? 0) +
    (totals?.deadLettered ?? 0);
  const missing = comparisons.reduce((total, one) => total + one.missing, 0);
  const extra = comparisons.reduce((total, one) => total + one.extra, 0);
  const lost = Math.max(0, options.events - accounted) + missing;
  const duplicated = Math.max(0, accounted - options.events) + extra;
  return {
    sent: options.events,
    accounted,
    lost,
    duplicated,
    eventsPerSecond: Math.round(options.events / ((finishedAtMs - startedAtMs) / 1000)),
    isRight: lost === 0 && duplicated === 0,
  };
}

function readOf(accounts: readonly TaskAccount[], stage: string): number {
  return totalsByStage(accounts).get(stage)?.read ?? 0;
}

async function areFlushed(
  app: App,
  store: Store,
  accounts: readonly TaskAccount[],
): Promise<boolean> {
  for (const { format, name } of plan(app.topologies).tables) {
    const folder = tableFolder(name);
    const table = await readTable({ objects: store.lake, folder, format });
    if (!isFlushed(accounts, name, table.flushedThrough)) return false;
  }
  return true;
}

function isDrained(accounts: readonly TaskAccount[]): boolean {
  const stages = new Set(accounts.map(({ path }) => path.stage));
  const sent = accounts
    .filter(({ path }) => path.stage === 'flights')
    .reduce((total, { ledger }) => total + ledger.emitted, 0);
  return (
    stages.size === 2 &&
    readOf(accounts, 'by-origin') === sent &&
    accounts.every(({ watermarkMs }) => isTimeOver(watermarkMs))
  );
}
