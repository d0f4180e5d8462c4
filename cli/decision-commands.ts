/** Commands that compare plans and decide what becomes of what is there. They act on the store alone. */
import { Argument, type Command } from 'commander';
import type { CommandContext } from './command-context';
import { assertKnown } from './commands/inspect';
import { decide, showPlan, type Decision, type DecisionPlace } from './commands/plan';

/** Of `millrace plan` where somebody has to decide: for CI. */
const decisionExitCode = 2;

export function addDecisionCommands(program: Command, context: CommandContext): void {
  const { topologies } = context.app;
  const place = (): DecisionPlace => ({
    topologies,
    location: context.location(),
    output: context.output(),
  });
  const run = async (topology: string, decision: Decision): Promise<void> => {
    assertKnown(topologies, topology);
    await decide(place(), topology, decision);
  };

  program
    .command('plan')
    .description('what this code changes in what runs; exit code 2 when somebody has to decide')
    .argument('[topology]', 'which (default: all)')
    .action(async (topology: string | undefined) => {
      if (topology !== undefined) assertKnown(topologies, topology);
      process.exitCode = (await showPlan(place(), topology)) ? 0 : decisionExitCode;
    });

  const newVersion = new Argument('<what>', 'new-version').choices(['new-version']);
  program
    .command('decide')
    .description('new-version: begin where the former version stops; what is open is given up')
    .argument('<topology>')
    .addArgument(newVersion)
    .action((topology: string) => run(topology, { kind: 'new-version' }));

  program
    .command('begin')
    .description('begin a drained or removed topology again: tables carry on, time begins anew')
    .argument('<topology>')
    .action((topology: string) => run(topology, { kind: 'begin' }));

  program
    .command('remove')
    .description('end a topology, or give up what is open in nodes that its code has no more')
    .argument('<topology>')
    .argument('[nodes...]', 'names; none: the whole topology')
    .action((topology: string, nodes: string[]) =>
      run(topology, nodes.length === 0 ? { kind: 'remove' } : { kind: 'remove-nodes', nodes }),
    );

  program
    .command('rollback')
    .description('give a topology back to an older build, until a newer one is deployed')
    .argument('<topology>')
    .option('--to <build>', 'its id, as millrace plan shows it (default: the one before)')
    .option('--new-version', 'begin a new version under its plan: what is open is given up')
    .action((topology: string, given: { to?: string; newVersion?: true }) =>
      run(topology, {
        kind: 'rollback',
        to: given.to ?? null,
        isNewVersion: given.newVersion === true,
      }),
    );
}
