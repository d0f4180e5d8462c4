import { Option, type Command } from 'commander';
import {
  appAddress,
  assertSpan,
  instant,
  wholeNumber,
  wholeNumberFrom,
  WrongUse,
} from './arguments';
import type { CommandContext } from './command-context';
import { letterFilter, showDeadLetters, type LetterFlags } from './commands/dead-letters';
import { assertKnown, assertKnownTable } from './commands/inspect';
import { runJob, showJobs, type JobFlags } from './commands/jobs';
import { showSupervisor } from './commands/supervisor';
import type { BackfillOptions } from '../shared/operations/jobs/kinds/backfill';

const exit = (isRight: boolean): void => {
  process.exitCode = isRight ? 0 : 1;
};

/** Commands that look at what has failed. */
export function addRecoveryCommands(program: Command, context: CommandContext): void {
  const { topologies } = context.app;
  program
    .command('supervisor')
    .description('what the supervisor saw and decided; exit code 1 when a task needs an operator')
    .option('--decisions <count>', 'how many of the newest', wholeNumber, 20)
    .action(async ({ decisions: decisionsMax }: { decisions: number }) =>
      exit(await showSupervisor(context.store(), { decisionsMax, topologies }, context.output())),
    );

  withLetterFilter(
    program
      .command('dead-letters')
      .description('events that could not be processed, with their cause')
      .argument('[topology]', 'which', topologies[0]?.name),
  )
    .addOption(
      new Option('--state <state>', 'which')
        .choices(['open', 'redriven', 'discarded', 'all'])
        .default('open'),
    )
    .option('--limit <count>', 'of letters shown', wholeNumberFrom(1), 100)
    .option('--payload', 'show the events themselves')
    .action((topology: string, flags: LetterFlags & { limit: number; payload?: boolean }) =>
      showDeadLetters(
        context.store(),
        {
          ...{ topologies, topology, flags, limit: flags.limit },
          withPayload: flags.payload === true,
        },
        context.output(),
      ),
    );
}

/** Commands that do bounded work. */
export function addJobCommands(program: Command, context: CommandContext): void {
  const { app } = context;
  const { topologies } = app;
  const run = async (kind: string, options: unknown, flags: JobFlags): Promise<void> => {
    const place = { app, location: context.location(), flags, output: context.output() };
    exit(await runJob({ kind, options }, place));
  };

  withJobFlags(
    withLetterFilter(
      program
        .command('redrive')
        .description('process open dead letters again, each with exactly one effect')
        .argument('<topology>'),
    )
      .option('--discard <reason>', 'do not process them: settle them, and say why')
      .option('--force', 'also those whose attempts are used up or that are too old'),
  ).action(
    async (
      topology: string,
      flags: LetterFlags & JobFlags & { discard?: string; force?: boolean },
    ) => {
      assertKnown(topologies, topology);
      const verdict = flags.discard === undefined ? 'redriven' : 'discarded';
      const reason = flags.discard ?? 'redriven by an operator';
      const filter = letterFilter({ ...flags, state: 'open' });
      const isForced = flags.force === true;
      await run('redrive', { topology, verdict, reason, filter, isForced }, flags);
    },
  );

  withJobFlags(
    program
      .command('audit')
      .description('recount logs, hubs, tables and exchanges; exit code 1 when they disagree')
      .argument('[topology]', 'which', topologies[0]?.name)
      .option('--shallow', 'do not read the hubs again'),
  ).action(async (topology: string, flags: JobFlags & { shallow?: boolean }) => {
    assertKnown(topologies, topology);
    await run('audit', { topology, withHub: flags.shallow !== true }, flags);
  });

  withJobFlags(
    program
      .command('compact')
      .description('put few large files of a table in the place of many small ones')
      .argument('<table>')
      .option('--target-mb <megabytes>', 'size of a file', wholeNumberFrom(1), 128),
  ).action(async (table: string, flags: JobFlags & { targetMb: number }) => {
    assertKnownTable(topologies, table);
    await run('compact', { table, targetBytes: flags.targetMb * 1024 * 1024 }, flags);
  });

  withJobFlags(
    withBackfillFlags(
      program
        .command('backfill')
        .description('process events again, with the live code, into new tables')
        .argument('<topology>'),
    ),
  ).action(async (topology: string, flags: JobFlags & BackfillFlags) => {
    assertKnown(topologies, topology);
    await run('backfill', backfillOptions(topology, flags), flags);
  });

  withJobFlags(
    program
      .command('reset')
      .description('empty the tables of a topology and read its hubs again from the beginning')
      .argument('<topology>')
      .requiredOption('--yes', 'to say that you mean it')
      // Asked for by scripts of before; there is nothing left to force.
      .addOption(new Option('--force').hideHelp()),
  ).action(async (topology: string, flags: JobFlags) => {
    assertKnown(topologies, topology);
    await run('reset', { topology }, flags);
  });

  program
    .command('jobs')
    .description('all jobs, or one with its report')
    .argument('[id]')
    .option('--cancel <reason>', 'end it: no piece is begun any more')
    .option('--resume', 'go on with it in this process')
    .action(async (id: string | undefined, flags: { cancel?: string; resume?: boolean }) => {
      const isChange = flags.cancel !== undefined || flags.resume === true;
      if (isChange && id === undefined) throw new WrongUse('say which job: see millrace jobs');
      if (flags.cancel !== undefined && flags.resume === true) {
        throw new WrongUse('choose one of --cancel and --resume');
      }
      if (flags.resume === true && id !== undefined) {
        const place = {
          ...{ app, location: context.location() },
          flags: { workers: 1 },
          output: context.output(),
        };
        exit(await runJob({ kind: '', options: null, id }, place));
        return;
      }
      const request = {
        ...(id !== undefined && { id }),
        ...(flags.cancel !== undefined && { cancel: flags.cancel }),
      };
      exit(await showJobs(context.store(), request, context.output()));
    });
}

interface BackfillFlags {
  readonly since?: number;
  readonly until?: number;
  readonly files?: string;
  readonly capture?: string;
  readonly table?: string;
  readonly source?: string;
  readonly partitions: number;
  readonly swap?: boolean;
}

function withBackfillFlags(command: Command): Command {
  return command
    .option('--since <time>', 'of the hub: enqueued from then on', instant)
    .option('--until <time>', 'of the hub: enqueued before then', instant)
    .option('--files <prefix>', 'NDJSON, gzip, Parquet or Avro files of the lake container instead')
    .option(
      '--capture <prefix>',
      'what Event Hubs Capture kept: names begin with <namespace>/<hub>/',
    )
    .option('--table <table>', "a table's rows instead")
    .option('--source <source>', 'of the topology, where it has several')
    .option('--partitions <count>', 'tasks of each stage, for files', wholeNumberFrom(1), 4)
    .option('--swap', 'put the new tables in the place of the old ones (drain first)');
}

function backfillOptions(topology: string, flags: BackfillFlags): BackfillOptions {
  const { capture, files, partitions, since, source = null, swap, table, until } = flags;
  const chosen = [files, capture, table, since ?? until].filter((value) => value !== undefined);
  assertSpan(flags);
  if (chosen.length > 1) {
    throw new WrongUse('choose one of --files, --capture, --table, and --since with --until');
  }
  const from: BackfillOptions['from'] =
    files !== undefined
      ? { kind: 'files', prefix: files }
      : capture !== undefined
        ? { kind: 'capture', prefix: capture }
        : table !== undefined
          ? { kind: 'table', table }
          : { kind: 'hub', fromMs: since ?? null, toMs: until ?? null };
  return { topology, source, from, partitions, outcome: swap === true ? 'swap' : 'beside' };
}

function withLetterFilter(command: Command): Command {
  return command
    .option('--stage <stage>', 'that made them')
    .option('--partition <partition>', 'of the hub')
    .option('--code <code>', 'cause, as in docs/ERRORS.md')
    .option('--operator <operator>', 'that failed')
    .option('--text <text>', 'a part of the message')
    .option('--since <time>', 'died from then on, as in 2026-06-01T12:00Z or 2h (ago)', instant)
    .option('--until <time>', 'died before then', instant)
    .option('--name <names...>', 'just these, as dead-letters prints them');
}

function withJobFlags(command: Command): Command {
  return command
    .option(
      '--on <address>',
      "let the app's workers do it, as in http://localhost:7071",
      appAddress,
    )
    .option('--key <key>', 'function key of that app')
    .option('--workers <count>', 'activities at a time, with --on', wholeNumberFrom(1), 4);
}
