/** The program: global options, and the commands by what they are for. */
import { Command, CommanderError } from 'commander';
import { StreamError } from '../shared/model/errors';
import { plan } from '../shared/planner';
import type { App } from './app';
import { WrongUse } from './arguments';
import type { CommandContext } from './command-context';
import { createOutput, type Output } from './output';
import { unsoundText } from './places';
import { readAddress, usualHubs, usualStorage } from './ports';
import { addJobCommands, addRecoveryCommands } from './recovery-commands';
import { addStackCommands } from './stack-commands';
import { openStore } from './store';
import { addDecisionCommands } from './decision-commands';
import { addTopologyCommands } from './topology-commands';

/** They have nothing to do with the app's topologies. */
const withoutTopologies = ['emulator', 'scale', 'simulate'];

function createProgram(): Command {
  return new Command('millrace')
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
}

interface GlobalOptions {
  readonly json?: boolean;
  readonly data: string;
  readonly storage?: string;
  readonly hubs?: string;
}

function contextOf(program: Command, app: App): CommandContext {
  const given = (): GlobalOptions => program.opts<GlobalOptions>();
  const isJson = (): boolean => given().json === true;
  /** What was named, or else the stack that runs on the data folder. */
  const location: CommandContext['location'] = () => {
    const { data, hubs, storage } = given();
    if (storage !== undefined && hubs !== undefined) return { storage, hubs };
    const stack = readAddress(data);
    return {
      storage: storage ?? stack?.storage ?? usualStorage,
      hubs: hubs ?? stack?.hubs ?? usualHubs,
    };
  };
  let speaking: Output | undefined;
  return {
    app,
    // One for the whole command: it knows whether a line of progress stands there.
    output: () => (speaking ??= createOutput({ isJson: isJson() })),
    store: () => openStore(location().storage),
    location,
    dataDirectory: () => given().data,
    isJson,
  };
}

/** Reads the command line and does what it says; ends the process where that went wrong. */
export async function run(app: App): Promise<void> {
  // Whoever read the output may have gone (`| head`): what is done is done all the same.
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`the result cannot be written: ${error.message}\n`);
    process.exitCode = 1;
  });
  const program = createProgram();
  const context = contextOf(program, app);
  program.hook('preAction', (_program, command) => {
    if (!withoutTopologies.includes(command.name())) plan(app.topologies);
  });
  addStackCommands(program, context);
  addTopologyCommands(program, context);
  addDecisionCommands(program, context);
  addRecoveryCommands(program, context);
  addJobCommands(program, context);
  try {
    await program.parseAsync();
  } catch (error) {
    // It has said what is wrong, or it was asked for help.
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    const message = error instanceof Error ? error.message : String(error);
    const isLocalStore = program.opts<GlobalOptions>().storage === undefined;
    context.output().say(unsoundText(error, app.directory) ?? message);
    if (error instanceof StreamError && error.details['status'] === null && isLocalStore) {
      context
        .output()
        .say('Nothing runs here? npm start begins; --storage names an account elsewhere.');
    }
    process.exit(error instanceof WrongUse ? 2 : 1);
  }
}
