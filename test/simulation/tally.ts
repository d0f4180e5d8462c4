import { shrink } from './shrink';
import { simulate, type SimulationReport } from './simulation';
import { allFaultKinds, type FaultKind } from './world/faults';

/** In how many of a run's seeds each kind of fault must strike at least. */
interface RunSize {
  readonly seeds: number;
  readonly perKindLeast: number;
}

/** What `npm run simulate:engine` does by itself. */
export const wholeRun: RunSize = { seeds: 10_000, perKindLeast: 1_000 };
/** What the tests do, in two halves. */
export const testRun: RunSize = { seeds: 1_600, perKindLeast: 100 };

/** What many runs came to. */
export class Tally {
  seeds = 0;
  steps = 0;
  simulatedMs = 0;
  events = 0;
  commits = 0;
  readonly failed: SimulationReport[] = [];
  /** In how many seeds each kind of fault struck, and how often in all. */
  readonly struck = new Map<FaultKind, { seeds: number; times: number }>(
    allFaultKinds.map((kind) => [kind, { seeds: 0, times: 0 }]),
  );

  add(report: SimulationReport): void {
    this.seeds += 1;
    this.steps += report.steps;
    this.simulatedMs += report.simulatedMs;
    this.events += report.events;
    this.commits += report.commits;
    if (report.failure !== null) this.failed.push(report);
    for (const [kind, times] of report.struck) {
      const tally = this.struck.get(kind);
      if (tally === undefined) continue;
      tally.seeds += 1;
      tally.times += times;
    }
  }
}

/** What broke in a run, with fewer kinds of fault where that is enough, and how to see it again. */
export async function describeFailure(report: SimulationReport): Promise<string> {
  const { failure, kinds, seed } = report;
  const needed = await shrink(kinds, async (fewer) => {
    return (await simulate({ seed, kinds: fewer })).failure !== null;
  });
  const faults = needed.length === 0 ? 'none' : needed.join(',');
  return [
    `seed ${seed}: ${failure?.message.slice(0, 1_000) ?? 'no failure'}`,
    `  replay: npm run simulate:engine -- --seeds 1 --seed ${seed} --faults ${faults} --trace 200`,
  ].join('\n');
}
