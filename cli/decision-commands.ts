/** Commands that compare plans and decide what becomes of what is there. They act on the store alone. */
import { Argument, type Command } from 'commander';
import type { CommandContext } from './command-context';
import { assertKnown } from './commands/inspect';
import type { Decision } from '../shared/operations/decisions/requests';
import type { AppFlags } from './app-http';
import { appAddress } from './arguments';
import { decide, showPlan, type DecisionPlace } from './commands/plan';

/** Of `millrace plan` where somebody has to decide: for CI. Neither a failure (1) nor wrong use (2). */
const decisionExitCode = 3;

function withAppFlags(command: Command): Command {
  return command
    .option(
      '--on <address>',
      'let the app do it, with its code, as in http://localhost:7071',
      appAddress,
    )
    .option('--key <key>', 'function key of that app');
}

export function addDecisionCommands(program: Command, context: CommandContext): void {
  const { topologies } = context.app;
  const place = (flags: AppFlags): DecisionPlace => ({
    ...{ topologies, flags },
    location: context.location(),
    output: context.output(),
  });
  const run = async (topology: string, decision: Decision, flags: AppFlags): Promise<void> => {
    // An app that is asked has topologies of its own.
    if (flags.on === undefined) assertKnown(topologies, topology);
    await decide(place(flags), topology, decision);
  };

  withAppFlags(
    program
      .command('plan')
      .description('what this code changes in what runs; exit code 3 when somebody has to decide')
      .argument('[topology]', 'which (default: all)'),
  ).action(async (topology: string | undefined, flags: AppFlags) => {
    if (topology !== undefined && flags.on === undefined) assertKnown(topologies, topology);
    process.exitCode = (await showPlan(place(flags), topology)) ? 0 : decisionExitCode;
  });

  const newVersion = new Argument('<what>', 'new-version').choices(['new-version']);
  withAppFlags(
    program
      .command('decide')
      .description('new-version: begin where the former version stops; what is open is given up')
      .argument('<topology>')
      .addArgument(newVersion),
  ).action((topology: string, _what: string, flags: AppFlags) =>
    run(topology, { kind: 'new-version' }, flags),
  );

  withAppFlags(
    program
      .command('begin')
      .description('begin a drained or removed topology again: tables carry on, time begins anew')
      .argument('<topology>'),
  ).action((topology: string, flags: AppFlags) => run(topology, { kind: 'begin' }, flags));

  withAppFlags(
    program
      .command('remove')
      .description('end a topology, or give up what is open in nodes that its code has no more')
      .argument('<topology>')
      .argument('[nodes...]', 'names; none: the whole topology'),
  ).action((topology: string, nodes: string[], flags: AppFlags) =>
    run(topology, nodes.length === 0 ? { kind: 'remove' } : { kind: 'remove-nodes', nodes }, flags),
  );

  withAppFlags(
    program
      .command('rollback')
      .description('give a topology back to an older build, until a newer one is deployed')
      .argument('<topology>')
      .option('--to <build>', 'its id, as millrace plan shows it (default: the one before)')
      .option('--new-version', 'begin a new version under its plan: what is open is given up'),
  ).action((topology: string, flags: AppFlags & { to?: string; newVersion?: true }) => {
    const isNewVersion = flags.newVersion === true;
    return run(topology, { kind: 'rollback', to: flags.to ?? null, isNewVersion }, flags);
  });
}
