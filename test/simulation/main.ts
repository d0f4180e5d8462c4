/** `npm run simulate:engine`: many seeds, or one of them looked at closely. */
import { parseArgs } from 'node:util';
import { describeFailure, Tally, wholeRun } from './tally';
import { simulate } from './simulation';
import { allFaultKinds, faultKinds, type FaultKind } from './world/faults';

const usage = `Runs the engine under a scheduler that decides every interleaving from a seed.

  npm run simulate:engine -- [options]

  --seeds N         how many seeds to run (default ${wholeRun.seeds})
  --seed S          the first of them (default 1)
  --faults a,b,c    these kinds of fault in every run; \`none\` for none (default: by seed)
  --least N         fail when a kind of fault strikes in fewer seeds
                    (default ${wholeRun.perKindLeast} of ${wholeRun.seeds} seeds or more, else 0)
  --bail            stop at the first that fails
  --trace N         print the last N steps of each run
  --help            this text

Exits with 1 when an invariant broke, or a kind struck too seldom. Invariants are listed in
test/simulation/checks/invariants.ts.

Kinds of fault:
${allFaultKinds.map((kind) => `  ${kind.padEnd(22)}${faultKinds[kind][1]} (${faultKinds[kind][0]})`).join('\n')}
`;

interface Options {
  readonly seeds: number;
  readonly firstSeed: number;
  readonly kinds: readonly FaultKind[] | null;
  readonly traceLinesMax: number;
  readonly isBailing: boolean;
  readonly seedsPerKindLeast: number;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: String(wholeRun.seeds) },
      seed: { type: 'string', default: '1' },
      faults: { type: 'string' },
      least: { type: 'string' },
      bail: { type: 'boolean', default: false },
      trace: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const seeds = wholeNumber('--seeds', values.seeds);
  const isWhole = seeds >= wholeRun.seeds && values.faults === undefined;
  const least = isWhole ? wholeRun.perKindLeast : 0;
  return {
    seeds,
    firstSeed: wholeNumber('--seed', values.seed),
    isBailing: values.bail,
    seedsPerKindLeast: wholeNumber('--least', values.least ?? String(least)),
    traceLinesMax: wholeNumber('--trace', values.trace),
    kinds: values.faults === undefined ? null : kindsFrom(values.faults),
  };
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`${name} takes a whole number, not ${text}`);
  return Number(text);
}

function kindsFrom(text: string): FaultKind[] {
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    const kind = allFaultKinds.find((one) => one === name);
    if (kind === undefined) throw new Error(`--faults: no kind is called ${name}; see --help`);
    return kind;
  });
}

async function run(options: Options): Promise<Tally> {
  const tally = new Tally();
  const { firstSeed, kinds, seeds, traceLinesMax } = options;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const given = kinds === null ? {} : { kinds };
    const report = await simulate({ seed, traceLinesMax, ...given });
    for (const line of report.trace) console.log(line);
    tally.add(report);
    if (report.failure === null) continue;
    if (options.isBailing) {
      console.log(`seed ${seed}: ${report.failure.message.slice(0, 1_000)}`);
      break;
    }
    console.log(await describeFailure(report));
    if (traceLinesMax > 0) console.log(report.failure.stack);
  }
  return tally;
}

function summary(tally: Tally, cpuSeconds: number): string {
  const kinds = Array.from(tally.struck)
    .filter(([, { seeds }]) => seeds > 0)
    .map(([kind, { seeds, times }]) => `  ${kind.padEnd(22)}${seeds} seeds, ${times} times`);
  const bound =
    tally.failed.length === 0 ? `, at most ${Math.min(100, 300 / tally.seeds).toFixed(2)} %` : '';
  return [
    'Faults that struck:',
    ...kinds,
    `${tally.seeds} seeds, ${tally.steps} steps, ${(tally.simulatedMs / 3_600_000).toFixed(1)} simulated hours, ` +
      `${tally.events} events read, ${tally.commits} commits, ${cpuSeconds.toFixed(1)} s of CPU`,
    `${tally.seeds - tally.failed.length} held, ${tally.failed.length} broken${bound} (95 % confidence)`,
  ].join('\n');
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
    console.log(usage);
    return 0;
  }
  const tally = await run(options);
  const { system, user } = process.cpuUsage();
  console.log(summary(tally, (system + user) / 1e6));
  const seldom = Array.from(tally.struck)
    .filter(([, { seeds }]) => seeds < options.seedsPerKindLeast)
    .map(([kind, { seeds }]) => `${kind} (${seeds})`);
  if (seldom.length > 0) {
    console.log(`In fewer than ${options.seedsPerKindLeast} seeds: ${seldom.join(', ')}`);
  }
  return tally.failed.length === 0 && seldom.length === 0 ? 0 : 1;
}

main().then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  },
);
