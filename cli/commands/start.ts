import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertBuilt, type App } from '../app';
import { makeDataDirectory } from '../data-directory';
import type { Output } from '../output';
import { choosePorts, keepAddress, type StackPorts } from '../ports';
import { startReplay } from '../replay/process';
import { addressOf, startStack, type Scaling, type Stack } from '../stack';
import { StackWatch } from '../stack-watch';
import { statusLine } from '../status-line';
import { stopSignal, type StopSignal } from '../stop-signal';

export interface StartOptions {
  readonly dataDirectory: string;
  readonly workers: number;
  readonly scaling: Scaling;
  readonly events: number;
  readonly rate: number;
  readonly isPacked: boolean;
  /** Ports that were asked for. */
  readonly asked: Partial<StackPorts>;
}

const statusIntervalMs = 1_000;

/** Everything at once, until Ctrl-C; the next start goes on where this one stopped. */
export async function start(app: App, options: StartOptions, output: Output): Promise<void> {
  assertBuilt(app);
  const dataDirectory = makeDataDirectory(options.dataDirectory);
  const logFile = join(dataDirectory, 'host.log');
  output.say(
    `Starting emulator, storage and ${options.workers} worker(s); data in ${dataDirectory} …`,
  );
  const stop = stopSignal();
  const ports = await choosePorts({ asked: options.asked, dataDirectory });
  const stack = await startStack({
    app,
    dataDirectory,
    workers: options.workers,
    scaling: options.scaling,
    ports,
    leases: {
      partitionOwnershipExpirationIntervalMs: 10_000,
      loadBalancingUpdateIntervalMs: 1_000,
    },
    log: (line) => appendFileSync(logFile, `${line}\n`),
  });
  try {
    keepAddress(dataDirectory, addressOf(stack));
    output.say(`HTTP functions: ${stack.host.httpUrl}`);
    output.say(`Log of the host: ${logFile}. Ctrl-C drains the workers; start again to go on.`);
    await run(options, { app, stack, stop }, output);
    output.say('Draining …');
  } finally {
    await stack.close();
    stop.release();
  }
  output.say('Stopped. Nothing is lost: npm start goes on from here.');
}

async function run(
  options: StartOptions,
  { app, stack, stop }: { readonly app: App; readonly stack: Stack; readonly stop: StopSignal },
  output: Output,
): Promise<void> {
  const replay = startReplay(app.processes.replay, {
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
  const watch = new StackWatch(stack, app.topologies);
  const told = new Set<string>();
  let isOver = false;
  const showStatus = async (): Promise<void> => {
    while (!isOver) {
      const { status, troubles } = await watch.look(replay.sent());
      if (isOver) return;
      for (const { text } of troubles) if (!told.has(text)) output.say(text);
      // One that is over and comes again is said again.
      told.clear();
      for (const { text } of troubles) told.add(text);
      output.progress((room) => statusLine(status, room));
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
