/** Commands that ask about topologies and their tables, or end one. */
import { Option, type Command } from 'commander';
import { tierNames, type TierName } from '../shared/planner';
import { WrongUse } from './arguments';
import type { CommandContext } from './command-context';
import { assertKnown, explainPlan, showLedger } from './commands/inspect';
import { queryLake } from './commands/query';
import { drain } from './store';

export function addTopologyCommands(program: Command, context: CommandContext): void {
  const { app, output, store } = context;
  program
    .command('explain')
    .description(
      'the plan: stages, hubs, windows, grace, quiet, tables, flush limits, guarantees; against the limits of a tier',
    )
    .argument('[topology]')
    .option('--emulator-config', "hubs in the form of the emulator's Config.json")
    .addOption(
      new Option('--tier <tier>', 'of Event Hubs: a plan that it does not allow is refused')
        .choices(tierNames)
        .default('standard'),
    )
    .action(
      (topology: string | undefined, options: { emulatorConfig?: boolean; tier: TierName }) => {
        const isAllowed = explainPlan(
          app.topologies,
          {
            ...(topology !== undefined && { topology }),
            emulatorConfig: options.emulatorConfig === true,
            tier: options.tier,
          },
          output(),
        );
        if (!isAllowed) process.exitCode = 1;
      },
    );

  program
    .command('ledger')
    .description('the end of every event, recounted from the commit logs')
    .argument('[topology]', 'which (default: all)')
    .action(async (topology: string | undefined) => {
      process.exitCode = (await showLedger(store(), app.topologies, topology, output())) ? 0 : 1;
    });

  program
    .command('query')
    .description('SQL over the tables in the lake, through DuckDB')
    .argument('<sql>', 'one statement, or several with a semicolon between them')
    .option('--csv', 'rows as CSV')
    .option('--local-files', 'SQL may read and write files of this machine, too')
    .action(async (sql: string, options: { csv?: boolean; localFiles?: boolean }) => {
      const isJson = context.isJson();
      if (isJson && options.csv === true) throw new WrongUse('choose one of --json and --csv');
      process.exitCode = await queryLake(
        { store: store(), topologies: app.topologies },
        {
          ...{ sql, form: isJson ? 'json' : options.csv === true ? 'csv' : 'table' },
          mayUseLocalFiles: options.localFiles === true,
          dataDirectory: context.dataDirectory(),
        },
        output(),
      );
    });

  program
    .command('drain')
    .description('end a topology: windows close, everything is flushed')
    .argument('<topology>')
    .action(async (topology: string) => {
      assertKnown(app.topologies, topology);
      const { version } = await drain(store(), topology);
      output().result(
        { topology, version, draining: true },
        `${topology} (version ${version}) is draining: when all is flushed, millrace begin ${topology} begins it again`,
      );
    });
}
