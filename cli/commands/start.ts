import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { isBalanced, totalsByStage, type TaskAccount } from '../../shared/ledger/ledger-reader';
import { plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { appDirectory } from '../app-directory';
import { makeDataDirectory } from '../data-directory';
import type { Output } from '../output';
import { startReplay } from '../replay/process';
import { startStack, type Scaling, type Stack } from '../stack';
import { stopSignal, type StopSignal } from '../stop-signal';
import { openStore } from '../store';

export interface StartOptions {
  readonly dataDirectory: string;
  readonly workers: number;
  readonly scaling: Scaling;
  readonly events: number;
  readonly rate: number;
  readonly isPacked: boolean;
}

const statusIntervalMs = 1_000;

/** Everything at once, until Ctrl-C; the next start goes on where this one stopped. */
export async function start(options: StartOptions, output: Output): Promise<void> {
  const dataDirectory = makeDataDirectory(options.dataDirectory);
  const logFile = join(dataDirectory, 'host.log');
  output.say(
    `Starting emulator, storage and ${options.workers} worker(s); data in ${dataDirectory} …`,
  );
  const stop = stopSignal();
  const stack = await startStack({
    plan: plan(topologies),
    appDirectory: appDirectory(),
    dataDirectory,
    workers: options.workers,
    scaling: options.scaling,
    ports: { amqp: 5672, control: 5300, blob: 10000, http: 7071 },
    leases: {
      partitionOwnershipExpirationIntervalMs: 10_000,
      loadBalancingUpdateIntervalMs: 1_000,
    },
    log: (line) => appendFileSync(logFile, `${line}\n`),
  });
  try {
    output.say(`Log of the host: ${logFile}. Ctrl-C drains the workers; start again to go on.`);
    await run(options, { stack, stop }, output);
    output.say('Draining …');
  } finally {
    await stack.close();
    stop.release();
  }
  output.say('Stopped. Nothing is lost: npm start goes on from here.');
}

async function run(
  options: StartOptions,
  { stack, stop }: { readonly stack: Stack; readonly stop: StopSignal },
  output: Output,
): Promise<void> {
  const replay = startReplay({
    connectionString: stack.emulator.connectionString,
    events: options.events,
    rate: options.rate,
    isPacked: options.isPacked,
  });
  replay.done.catch((error: unknown) => {
    output.say(`${error instanceof Error ? error.message : String(error)}; start again to go on`);
  });
  output.say(`Send your own events: ${stack.emulator.connectionString}`);
  output.say(`Tables: npm run millrace -- query "select * from airport_days limit 10"`);
  const ledger = openStore(stack.azurite.connectionString).ledger('flights');
  let before: { readonly read: number; readonly atMs: number } | null = null;
  let isOver = false;
  const showStatus = async (): Promise<void> => {
    while (!isOver) {
      const accounts = await ledger.refresh();
      if (isOver) return;
      const now = { read: readBySources(accounts), atMs: Date.now() };
      const rate =
        before === null ? 0 : ((now.read - before.read) * 1000) / (now.atMs - before.atMs);
      const workers = stack.host.workers.length;
      output.progress(statusLine(accounts, { sent: replay.sent(), rate, workers }));
      before = now;
      await new Promise((wake) => setTimeout(wake, statusIntervalMs));
    }
  };
  try {
    // Said at once: workers that miss their storage take a while to end.
    const lost = stack.lost.then((error) => {
      if (!isOver) output.say(error.message);
      return Promise.reject(new Error('Stopped.'));
    });
    await Promise.race([showStatus(), stop.requested, lost]);
  } finally {
    isOver = true;
    await replay.stop();
  }
}

function readBySources(accounts: readonly TaskAccount[]): number {
  return totalsByStage(accounts).get('flights')?.read ?? 0;
}

function statusLine(
  accounts: readonly TaskAccount[],
  replay: { readonly sent: number; readonly rate: number; readonly workers: number },
): string {
  const commits = accounts.reduce((total, account) => total + account.commits, 0);
  const totals = totalsByStage(accounts);
  const source = totals.get('flights');
  const byAirport = totals.get('by-origin');
  const balance = accounts.every(({ ledger }) => isBalanced(ledger)) ? 'balanced' : 'NOT BALANCED';
  return [
    `workers ${replay.workers}`,
    `sent ${replay.sent}`,
    `read ${source?.read ?? 0} (${Math.round(replay.rate)}/s, lag ${Math.max(0, replay.sent - (source?.read ?? 0))})`,
    `by airport ${byAirport?.read ?? 0}`,
    `dead ${source?.deadLettered ?? 0}`,
    `commits ${commits}`,
    `ledger ${balance}`,
  ].join('  ');
}
