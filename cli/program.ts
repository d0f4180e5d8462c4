/** Commands and their options. */
import { Command, CommanderError, Option } from 'commander';
import { runEmulator } from '../local/event-hubs/command';
import { workersMax } from '../local/scaler/worker-range';
import { StreamError } from '../shared/model/errors';
import { plan } from '../shared/planner';
import { topologies } from '../topologies';
import {
  flightsMax,
  numberFrom,
  wholeNumber,
  wholeNumberFrom,
  workerRange,
  WrongUse,
} from './arguments';
import { demo } from './commands/demo';
import { emulators } from './commands/emulators';
import { assertKnown, explainPlan, showLedger } from './commands/inspect';
import { queryLake } from './commands/query';
import { scale, scalingOf, type ScaleFlags } from './commands/scale';
import { simulate, type SimulateFlags } from './commands/simulate';
import { start } from './commands/start';
import type { EngineLocation } from './engine';
import { createOutput, type Output } from './output';
import { askedPorts, readAddress, usualHubs, usualStorage, withPorts } from './ports';
import { unsoundText } from './places';
import { addJobCommands, addRecoveryCommands } from './recovery-commands';
import { markDrain, openStore, type Store } from './store';

const program = new Command('millrace')
  .description('Streams into exactly-once tables, on Azure Functions and on this machine.')
  .option('--json', 'results as JSON')
  .option('--data <folder>', 'of the stack: where everything is kept', '.millrace')
  .option(
    '--storage <connection>',
    'storage connection string, or an https:// blob endpoint (default: that of the stack)',
  )
  .option(
    '--hubs <connection>',
    'Event Hubs connection string, or a namespace as in name.servicebus.windows.net (default: those of the stack)',
  )
  .showHelpAfterError()
  .exitOverride();

/** They have nothing to do with the app's topologies. */
const withoutTopologies = ['emulator', 'scale', 'simulate'];
program.hook('preAction', (_program, command) => {
  if (!withoutTopologies.includes(command.name())) plan(topologies);
});

const given = program.opts.bind(program)<{ data: string; storage?: string; hubs?: string }>;
const isLocalStore = (): boolean => given().storage === undefined;
/** What was named, or else the stack that runs on the data folder. */
const location = (): EngineLocation => {
  const { data, hubs, storage } = given();
  if (storage !== undefined && hubs !== undefined) return { storage, hubs };
  const stack = readAddress(data);
  return {
    storage: storage ?? stack?.storage ?? usualStorage,
    hubs: hubs ?? stack?.hubs ?? usualHubs,
  };
};
let speaking: Output | undefined;
/** One for the whole command: it knows whether a line of progress stands there. */
const output = (): Output =>
  (speaking ??= createOutput({ isJson: program.opts<{ json?: boolean }>().json === true }));
const store = (): Store => openStore(location().storage);

withPorts(
  withScaling(
    program
      .command('start')
      .description('emulator, storage, workers and the replay of flights, until Ctrl-C')
      .option('--events <count>', 'flights to replay', wholeNumberFrom(0, flightsMax), flightsMax)
      .option('--rate <events>', 'events per second; 0: as fast as possible', wholeNumber, 10_000)
      .option('--packed', '100 events per message'),
  ),
  ['amqp', 'control', 'blob', 'http'],
).action(async (options: ScaleFlags & { events: number; rate: number; packed?: boolean }) => {
  const { events, rate } = options;
  await start(
    {
      ...{ events, rate, dataDirectory: given().data, isPacked: options.packed === true },
      asked: askedPorts({ ...options }),
      ...scalingOf(options),
    },
    output(),
  );
});

withScaling(
  program
    .command('demo')
    .description('a finite run with a worker killed in the middle, checked against DuckDB')
    .option(
      '--events <count>',
      `flights to send, up to ${flightsMax}`,
      wholeNumberFrom(1, flightsMax),
      300_000,
    )
    .option('--rate <events>', 'events per second; 0: as fast as possible', wholeNumber, 0)
    .option('--packed', '100 events per message')
    .option('--keep', 'keep emulator, storage and oracle data'),
).action(
  async (
    options: ScaleFlags & { events: number; rate: number; packed?: boolean; keep?: boolean },
  ) => {
    const { events, rate } = options;
    const result = await demo(
      {
        ...{ events, rate, isPacked: options.packed === true, keep: options.keep === true },
        ...scalingOf(options),
      },
      output(),
    );
    if (result === null) {
      output().say('Stopped before the end; nothing is left running.');
      process.exit(130);
    }
    const { accounted, duplicated, eventsPerSecond, lost, sent } = result;
    output().result(
      result,
      `sent ${sent}, accounted ${accounted}, lost ${lost}, duplicated ${duplicated}; ${eventsPerSecond} events/s end to end, the killed worker included`,
    );
    process.exitCode = result.isRight ? 0 : 1;
  },
);

program
  .command('scale')
  .description('workers of the running stack: how many and why; or 4, 1..4, auto')
  .argument('[workers]', 'a count, a range to vote within, or auto')
  .action((to: string | undefined) => scale({ to, dataDirectory: given().data }, output()));

program
  .command('simulate')
  .description('what a load takes on Azure: instances, lag, Event Hubs units, cost')
  .requiredOption('--profile <file>', 'CSV "second,eventsPerSecond", or spike, daily, ramp')
  .requiredOption(
    '--events-per-second-per-instance <events>',
    'what one instance processes: measure it',
    numberFrom(1),
  )
  .option('--peak <events>', 'per second, of a built-in profile (default: 10000)', numberFrom(1))
  .option('--partitions <count>', 'of the hub', wholeNumberFrom(1), 32)
  .option('--skew <s>', 'partition k gets a share like 1 / k^s; 0: all alike', numberFrom(0), 0)
  .addOption(
    new Option('--plan <plan>', 'of Functions').choices(['flex', 'premium']).default('flex'),
  )
  .option('--max-instances <count>', 'limit of the app', wholeNumberFrom(1), 100)
  .option('--always-ready <count>', 'instances that are always there', wholeNumber, 0)
  .option('--instance-memory-mb <mb>', '(default: 2048; premium: 3584)', wholeNumber)
  .option('--max-event-batch-size <messages>', "(default: host.json's)", wholeNumberFrom(1))
  .option(
    '--target-unprocessed-event-threshold <messages>',
    "per instance (default: host.json's, or the batch size if that is given)",
    wholeNumberFrom(1),
  )
  .option('--cold-start-ms <ms>', 'from the vote to the first batch', wholeNumber, 5_000)
  .option('--batch-duration-ms <ms>', 'of a small batch', wholeNumberFrom(1), 100)
  .option('--event-bytes <bytes>', 'of one event', wholeNumberFrom(1), 1_000)
  .option('--events-per-message <count>', 'packed into one message', wholeNumberFrom(1), 1)
  .option('--consumer-groups <count>', 'that read everything', wholeNumberFrom(1), 1)
  .option('--plot <file>', 'an SVG picture')
  .action((flags: SimulateFlags) => simulate(flags, output()));

program
  .command('emulator')
  .description('the Event Hubs emulator alone (see: millrace emulator --help)')
  .argument('[options...]')
  .helpOption(false)
  .allowUnknownOption()
  .action(() => {
    // As written: the emulator is a product of its own and reads its own options.
    const written = process.argv.slice(process.argv.indexOf('emulator') + 1);
    return runEmulator(written[0] === '--' ? written.slice(1) : written);
  });

withPorts(
  program
    .command('emulators')
    .description('emulator and storage, for `func start` or apps of your own')
    .option('--config <file>', "hubs of another app, as the emulator's Config.json has them"),
  ['amqp', 'control', 'blob', 'queue', 'table'],
).action((options: { config?: string }) => {
  const asked = askedPorts({ ...options });
  return emulators({ ...options, asked, data: given().data }, output());
});

program
  .command('explain')
  .description('the plan: stages, hubs, windows, lateness, tables, flush limits, guarantees')
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
  .argument('[topology]', 'which (default: all)')
  .action(async (topology: string | undefined) => {
    process.exitCode = (await showLedger(store(), topology, output())) ? 0 : 1;
  });

const commandContext = {
  output,
  store,
  location,
};
addRecoveryCommands(program, commandContext);
addJobCommands(program, commandContext);

program
  .command('query')
  .description('SQL over the tables in the lake, through DuckDB')
  .argument('<sql>', 'one statement, or several with a semicolon between them')
  .option('--csv', 'rows as CSV')
  .option('--local-files', 'SQL may read and write files of this machine, too')
  .action(async (sql: string, options: { csv?: boolean; localFiles?: boolean }) => {
    const isJson = program.opts<{ json?: boolean }>().json === true;
    if (isJson && options.csv === true) throw new WrongUse('choose one of --json and --csv');
    process.exitCode = await queryLake(
      store(),
      {
        ...{ sql, form: isJson ? 'json' : options.csv === true ? 'csv' : 'table' },
        mayUseLocalFiles: options.localFiles === true,
        dataDirectory: given().data,
      },
      output(),
    );
  });

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

function withScaling(command: Command): Command {
  return command
    .option('--workers <count>', 'worker processes', wholeNumberFrom(1, workersMax), 2)
    .option('--scale <range>', 'as many workers as the backlog asks for, as in 1..4', workerRange)
    .option('--scale-interval-ms <ms>', 'between two votes', wholeNumberFrom(100), 10_000)
    .option('--scale-hold-ms <ms>', 'no scale-in after a scale-out', wholeNumber, 180_000);
}

/** Reads the command line and does what it says; ends the process where that went wrong. */
export async function run(): Promise<void> {
  // Whoever read the output may have gone (`| head`): what is done is done all the same.
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`the result cannot be written: ${error.message}\n`);
    process.exitCode = 1;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    // It has said what is wrong, or it was asked for help.
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    const message = error instanceof Error ? error.message : String(error);
    output().say(unsoundText(error, __dirname) ?? message);
    if (error instanceof StreamError && error.details['status'] === null && isLocalStore()) {
      output().say('Nothing runs here? npm start begins; --storage names an account elsewhere.');
    }
    process.exit(error instanceof WrongUse ? 2 : 1);
  }
}
