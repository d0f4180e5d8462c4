import { appendFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isBalanced, totalsByStage, type TaskAccount } from '../../shared/ledger/ledger-reader';
import { plan } from '../../shared/planner';
import { topologies } from '../../topologies';
import { appDirectory } from '../app-directory';
import type { Output } from '../output';
import { startReplay } from '../replay/process';
import { startStack } from '../stack';
import { openStore } from '../store';

export interface StartOptions {
  readonly dataDirectory: string;
  readonly workers: number;
  readonly events: number;
  readonly rate: number;
  readonly isPacked: boolean;
}

const statusIntervalMs = 1_000;

/** Everything at once, until Ctrl-C; the next start goes on where this one stopped. */
export async function start(options: StartOptions, output: Output): Promise<void> {
  const dataDirectory = resolve(options.dataDirectory);
  mkdirSync(dataDirectory, { recursive: true });
  const logFile = join(dataDirectory, 'host.log');
  output.say(
    `Starting emulator, storage and ${options.workers} workers; data in ${dataDirectory} …`,
  );
  const stack = await startStack({
    plan: plan(topologies),
    appDirectory: appDirectory(),
    dataDirectory,
    workers: options.workers,
    ports: { amqp: 5672, control: 5300, blob: 10000, http: 7071 },
    leases: {
      partitionOwnershipExpirationIntervalMs: 10_000,
      loadBalancingUpdateIntervalMs: 1_000,
    },
    log: (line) => appendFileSync(logFile, `${line}\n`),
  });
  const replay = startReplay({
    connectionString: stack.emulator.connectionString,
    events: options.events,
    rate: options.rate,
    isPacked: options.isPacked,
  });
  let isStopping = false;
  const stopped = new Promise<void>((resolveStop) => {
    process.once('SIGINT', resolveStop);
    process.once('SIGTERM', resolveStop);
  }).then(() => {
    isStopping = true;
  });
  replay.done.catch((error: unknown) => output.say(`replay: ${String(error)}`));
  output.say(`Send your own events: ${stack.emulator.connectionString}`);
  output.say(`Tables: npm run millrace -- query "select * from airport_days limit 10"`);
  output.say(`Log of the host: ${logFile}. Ctrl-C drains the workers; start again to go on.`);
  const ledger = openStore(stack.azurite.connectionString).ledger('flights');
  let before: { readonly read: number; readonly atMs: number } | null = null;
  while (!isStopping) {
    const accounts = await ledger.refresh();
    const now = { read: readBySources(accounts), atMs: Date.now() };
    const rate = before === null ? 0 : ((now.read - before.read) * 1000) / (now.atMs - before.atMs);
    output.progress(statusLine(accounts, { sent: replay.sent(), rate }));
    before = now;
    await Promise.race([stopped, new Promise((wake) => setTimeout(wake, statusIntervalMs))]);
  }
  output.say('Draining …');
  await replay.stop();
  await stack.close();
  output.say('Stopped. Nothing is lost: npm start goes on from here.');
}

function readBySources(accounts: readonly TaskAccount[]): number {
  return totalsByStage(accounts).get('flights')?.read ?? 0;
}

function statusLine(
  accounts: readonly TaskAccount[],
  replay: { readonly sent: number; readonly rate: number },
): string {
  const commits = accounts.reduce((total, account) => total + account.commits, 0);
  const totals = totalsByStage(accounts);
  const source = totals.get('flights');
  const byAirport = totals.get('by-origin');
  const balance = accounts.every(({ ledger }) => isBalanced(ledger)) ? 'balanced' : 'NOT BALANCED';
  return [
    `sent ${replay.sent}`,
    `read ${source?.read ?? 0} (${Math.round(replay.rate)}/s, lag ${Math.max(0, replay.sent - (source?.read ?? 0))})`,
    `by airport ${byAirport?.read ?? 0}`,
    `dead ${source?.deadLettered ?? 0}`,
    `commits ${commits}`,
    `ledger ${balance}`,
  ].join('  ');
}
