/** Commands that run a stack on this machine, or reckon what one would need on Azure. */
import { Option, type Command } from 'commander';
import { runEmulator } from '../local/event-hubs/command';
import { workersMax } from '../local/scaler/worker-range';
import { flightsMax, numberFrom, wholeNumber, wholeNumberFrom, workerRange } from './arguments';
import type { CommandContext } from './command-context';
import { demo } from './commands/demo';
import { emulators } from './commands/emulators';
import { scale, scalingOf, type ScaleFlags } from './commands/scale';
import { simulate, type SimulateFlags } from './commands/simulate';
import { start } from './commands/start';
import { askedPorts, withPorts } from './ports';

export function addStackCommands(program: Command, context: CommandContext): void {
  addStart(program, context);
  addDemo(program, context);
  program
    .command('scale')
    .description('workers of the running stack: how many and why; or 4, 1..4, auto')
    .argument('[workers]', 'a count, a range to vote within, or auto')
    .action((to: string | undefined) =>
      scale({ to, dataDirectory: context.dataDirectory() }, context.output()),
    );
  addSimulate(program, context);
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
    return emulators(
      context.app,
      { ...options, asked, data: context.dataDirectory() },
      context.output(),
    );
  });
}

function addStart(program: Command, context: CommandContext): void {
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
    const dataDirectory = context.dataDirectory();
    await start(
      context.app,
      {
        ...{ events, rate, dataDirectory, isPacked: options.packed === true },
        asked: askedPorts({ ...options }),
        ...scalingOf(options),
      },
      context.output(),
    );
  });
}

function addDemo(program: Command, context: CommandContext): void {
  const { output } = context;
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
        context.app,
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
}

function addSimulate(program: Command, context: CommandContext): void {
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
    .action((flags: SimulateFlags) => simulate(context.app, flags, context.output()));
}

function withScaling(command: Command): Command {
  return command
    .option('--workers <count>', 'worker processes', wholeNumberFrom(1, workersMax), 2)
    .option('--scale <range>', 'as many workers as the backlog asks for, as in 1..4', workerRange)
    .option('--scale-interval-ms <ms>', 'between two votes', wholeNumberFrom(100), 10_000)
    .option('--scale-hold-ms <ms>', 'no scale-in after a scale-out', wholeNumber, 180_000);
}
