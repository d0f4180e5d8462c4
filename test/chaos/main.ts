/** `npm run chaos`: random faults on real processes; what it prints replays it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createOutput, type Output } from '../../cli/output';
import { stopSignal } from '../../cli/stop-signal';
import { describeReport } from './report-text';
import type { ChaosOptions } from './options';
import { ChaosRun } from './run';
import { faultKinds, notMade, scheduleOf } from './schedule';
import { topologies } from './all-topologies';

const usage = `Runs every shipped topology at saturation on real processes (emulator, Azurite, workers) while
faults strike, then compares tables and ledger with oracles that share no code with the engine.

  npm run chaos -- [options]

  --minutes M            how long faults strike (default 2); then all is drained and compared
  --seed S               decides which faults strike when, and what (default: random, printed)
  --gap S                seconds from one fault to the next, on average (default 8)
  --workers N            worker processes (default 3)
  --partitions N         partitions of every hub (default 2)
  --backlog N            events of a partition that wait at most (default 4000)
  --patience S           seconds without any event that comes further, after which the run is stuck
                         (default 900: one that kills its worker after 30 s is bisected for minutes)
  --faults a,b,c         only these kinds; \`none\` for none (default: all)
  --untrue-oracle A,B    the oracles of these topologies are told of one event that was never sent:
                         the run must fail, or its check is worth nothing
  --keep                 keep the folder of a run that was right, too
  --json                 the report as one JSON document on stdout
  --list                 print the kinds, the rows of the fault matrix they make, and the schedule
  --help                 this text

Exit code: 0 right, 1 wrong, 2 bad options, 130 stopped by Ctrl-C. A run that was not right keeps
its folder with the host's log, and prints it.`;

const stoppedText = 'Stopped; nothing of it runs on.';

class BadOptions extends Error {}

interface Invocation {
  readonly options: ChaosOptions;
  readonly isJson: boolean;
  readonly isKept: boolean;
  readonly isListed: boolean;
}

function readInvocation(): Invocation | null {
  const { values } = parse();
  if (values.help) return null;
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 7 * 24 * 60)) {
    throw new BadOptions(`--minutes must be a number over 0, not '${values.minutes}'`);
  }
  const untrueOraclesOf = values['untrue-oracle']?.split(',') ?? [];
  const names = topologies.map(({ name }) => name);
  if (!untrueOraclesOf.every((name) => names.includes(name))) {
    throw new BadOptions(`--untrue-oracle takes topologies: ${names.join(', ')}`);
  }
  return {
    options: {
      forMs: Math.round(minutes * 60_000),
      seed: wholeNumber('--seed', values.seed, 0),
      workers: wholeNumber('--workers', values.workers, 1),
      partitionCount: wholeNumber('--partitions', values.partitions, 1),
      gapMs: 1_000 * wholeNumber('--gap', values.gap, 1),
      patienceMs: 1_000 * wholeNumber('--patience', values.patience, 1),
      backlogMax: wholeNumber('--backlog', values.backlog, 1),
      kinds: values.faults === undefined ? null : kindsFrom(values.faults),
      untrueOraclesOf,
    },
    isJson: values.json,
    isKept: values.keep,
    isListed: values.list,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '2' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
        workers: { type: 'string', default: '3' },
        partitions: { type: 'string', default: '2' },
        gap: { type: 'string', default: '8' },
        patience: { type: 'string', default: '900' },
        backlog: { type: 'string', default: '4000' },
        faults: { type: 'string' },
        'untrue-oracle': { type: 'string' },
        keep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new BadOptions(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return value;
  throw new BadOptions(`${name} must be a whole number from ${least}, not '${text}'`);
}

function kindsFrom(text: string): string[] {
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    if (faultKinds.some((kind) => kind.name === name)) return name;
    throw new BadOptions(`--faults: no kind is called ${name}; see --list`);
  });
}

function listing({ forMs, gapMs, kinds, seed }: ChaosOptions): string {
  return [
    'Kinds of fault, and the rows of the fault matrix that they make:',
    ...faultKinds.map(
      ({ isLong, name, rows, text }) =>
        `  ${name.padEnd(30)}${rows.padEnd(12)}${text}${isLong === true ? ' (runs of 3 minutes or more)' : ''}`,
    ),
    'Not made, or in part:',
    ...notMade.map(([row, why]) => `  ${row.padEnd(6)}${why}`),
    `Schedule of seed ${seed}, ${forMs / 60_000} minutes:`,
    ...scheduleOf({ seed, forMs, gapMs, names: kinds }).map(
      ({ atMs, kind, number, seed: own }) =>
        `  #${String(number).padEnd(5)}${(atMs / 1_000).toFixed(1).padStart(7)} s  ${kind.name} (${own})`,
    ),
  ].join('\n');
}

/** The command that strikes the same again. */
function replayOf({
  backlogMax,
  forMs,
  gapMs,
  kinds,
  partitionCount,
  seed,
  untrueOraclesOf,
  workers,
}: ChaosOptions): string {
  return [
    `npm run chaos -- --minutes ${forMs / 60_000} --seed ${seed} --gap ${gapMs / 1_000}`,
    `--workers ${workers} --partitions ${partitionCount} --backlog ${backlogMax}`,
    ...(kinds === null ? [] : [`--faults ${kinds.length === 0 ? 'none' : kinds.join(',')}`]),
    ...(untrueOraclesOf.length === 0 ? [] : [`--untrue-oracle ${untrueOraclesOf.join(',')}`]),
  ].join(' ');
}

async function run({ isJson, isKept, options }: Invocation): Promise<number> {
  const stop = stopSignal();
  const output: Output = createOutput({ isJson });
  const lines: string[] = [];
  const chaos = new ChaosRun(options, {
    say: (line) => {
      lines.push(line);
      output.say(line);
    },
    progress: (line) => {
      lines.push(line);
      process.stderr.write(`${line}\n`);
    },
  });
  output.say(`Replay with: ${replayOf(options)}`);
  let isRight = false;
  try {
    const report = await chaos.run(stop.requested);
    if (report === null) {
      isRight = true;
      output.say(stoppedText);
      return 130;
    }
    ({ isRight } = report);
    output.result(report, describeReport(report));
    return isRight ? 0 : 1;
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (stop.isRequested()) {
      // Ctrl-C reaches the bundler too, whose end fails the start.
      isRight = true;
      output.say(`${stoppedText} (${error instanceof Error ? error.message : message})`);
      return 130;
    }
    output.result({ isRight, problems: [message], seed: options.seed }, `WRONG: ${message}`);
    return 1;
  } finally {
    stop.release();
    if (isRight && !isKept) chaos.remove();
    else {
      writeFileSync(join(chaos.folder, 'run.log'), `${lines.join('\n')}\n`);
      output.say(`Kept in ${chaos.folder}: host.log, run.log. Replay with: ${replayOf(options)}`);
    }
  }
}

async function main(): Promise<number> {
  const invocation = readInvocation();
  if (invocation === null) {
    console.log(usage);
    return 0;
  }
  if (invocation.isListed) {
    console.log(listing(invocation.options));
    return 0;
  }
  return run(invocation);
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(error instanceof BadOptions ? 2 : 1);
  },
);
