#!/usr/bin/env node
/** The `millrace` command. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { startEmulatorProcess } from '../local/event-hubs/process';
import { startAzurite } from '../local/storage';
import { emulatorConfig, plan } from '../shared/planner';
import { topologies } from '../topologies';
import { demo } from './commands/demo';
import {
  assertKnown,
  explainPlan,
  queryLake,
  showDeadLetters,
  showLedger,
} from './commands/inspect';
import { start } from './commands/start';
import { createOutput, type Output } from './output';
import { markDrain, openStore, type Store } from './store';

const localStorage =
  'DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1';

const program = new Command('millrace')
  .description('Streams into exactly-once tables, on Azure Functions and on this machine.')
  .option('--json', 'results as JSON')
  .option(
    '--storage <connection>',
    'storage connection string (default: that of `millrace start`)',
    localStorage,
  )
  .showHelpAfterError();

const output = (): Output =>
  createOutput({ isJson: program.opts<{ json?: boolean }>().json === true });
const store = (): Store => openStore(program.opts<{ storage: string }>().storage);

program
  .command('start')
  .description('emulator, storage, workers and the replay of flights, until Ctrl-C')
  .option('--data <folder>', 'where everything is kept', '.millrace')
  .option('--workers <count>', 'worker processes', wholeNumber, 2)
  .option('--events <count>', 'flights to replay', wholeNumber, 3_000_000)
  .option('--rate <events>', 'events per second; 0: as fast as possible', wholeNumber, 10_000)
  .option('--packed', '100 events per message')
  .action(
    async (options: {
      data: string;
      workers: number;
      events: number;
      rate: number;
      packed?: boolean;
    }) => {
      await start(
        { ...options, dataDirectory: options.data, isPacked: options.packed === true },
        output(),
      );
    },
  );

program
  .command('demo')
  .description('a finite run with a worker killed in the middle, checked against DuckDB')
  .option('--events <count>', 'flights to send, up to 3000000', wholeNumber, 300_000)
  .option('--workers <count>', 'worker processes', wholeNumber, 2)
  .option('--rate <events>', 'events per second; 0: as fast as possible', wholeNumber, 0)
  .option('--packed', '100 events per message')
  .option('--keep', 'keep emulator, storage and oracle data')
  .action(
    async (options: {
      events: number;
      workers: number;
      rate: number;
      packed?: boolean;
      keep?: boolean;
    }) => {
      const speaking = output();
      const result = await demo(
        { ...options, isPacked: options.packed === true, keep: options.keep === true },
        speaking,
      );
      const { accounted, duplicated, eventsPerSecond, lost, sent } = result;
      speaking.result(
        result,
        `sent ${sent}, accounted ${accounted}, lost ${lost}, duplicated ${duplicated}; ${eventsPerSecond} events/s end to end, the killed worker included`,
      );
      process.exitCode = result.isRight ? 0 : 1;
    },
  );

program
  .command('emulator')
  .description('the Event Hubs emulator alone; options after -- (see: millrace emulator -- --help)')
  .argument('[options...]')
  .allowUnknownOption()
  .action((options: string[]) => {
    const entry = join(__dirname, '../local/event-hubs/main.js');
    process.exitCode =
      spawnSync(process.execPath, [entry, ...options], { stdio: 'inherit' }).status ?? 1;
  });

program
  .command('emulators')
  .description('emulator and storage on their usual ports, for `func start`')
  .option('--data <folder>', 'where everything is kept', '.millrace')
  .action(async (options: { data: string }) => {
    mkdirSync(options.data, { recursive: true });
    const config = join(options.data, 'event-hubs.json');
    writeFileSync(config, JSON.stringify(emulatorConfig(plan(topologies))));
    const emulator = await startEmulatorProcess({
      dataDirectory: join(options.data, 'event-hubs'),
      config,
      port: 5672,
      controlPort: 5300,
    });
    const azurite = await startAzurite({
      dataDirectory: join(options.data, 'storage'),
      ports: { blob: 10000, queue: 10001, table: 10002 },
    });
    output().say(
      `Event Hubs: ${emulator.connectionString}\nStorage: ${azurite.connectionString}\nCtrl-C ends both.`,
    );
    await new Promise<void>((resolve) => process.once('SIGINT', () => resolve()));
    await azurite.close();
    await emulator.close();
  });

program
  .command('explain')
  .description('the plan: stages, hubs, consumer groups, tables')
  .argument('[topology]')
  .option('--emulator-config', "hubs in the form of the emulator's Config.json")
  .action((topology: string | undefined, options: { emulatorConfig?: boolean }) => {
    explainPlan(
      {
        ...(topology !== undefined && { topology }),
        emulatorConfig: options.emulatorConfig === true,
      },
      output(),
    );
  });

program
  .command('ledger')
  .description('the end of every event, recounted from the commit logs')
  .argument('[topology]', 'which', 'flights')
  .action(async (topology: string) => {
    process.exitCode = (await showLedger(store(), topology, output())) ? 0 : 1;
  });

program
  .command('dead-letters')
  .description('events that could not be processed, with their cause')
  .argument('[topology]', 'which', 'flights')
  .action((topology: string) => showDeadLetters(store(), topology, output()));

program
  .command('query')
  .description('SQL over the tables in the lake, through DuckDB')
  .argument('<sql>')
  .action((sql: string) => queryLake(store(), sql, output()));

program
  .command('drain')
  .description('end a topology: windows close, everything is flushed')
  .argument('<topology>')
  .action(async (topology: string) => {
    assertKnown(topology);
    await markDrain(store(), topology);
    output().result(
      { topology, draining: true },
      `${topology} is draining; its sources may not be used again`,
    );
  });

function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('must be a whole number');
}

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

if (!existsSync(join(__dirname, '../functions/app.js'))) {
  process.stderr.write('The app is not built: run npm run build\n');
}
