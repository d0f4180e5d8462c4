import { exchangeHub } from '../world/topology';
import { holds, same } from './invariants';
import type { SourceTaskModel } from './source-task';
import type { WindowTaskModel } from './window-task';

/** Where a version begins, as the store holds it: read without the engine's own reader. */
interface BeginningText {
  readonly version: string;
  readonly after: string;
  readonly underWay: Readonly<Record<string, number>>;
  readonly tasks: readonly {
    readonly stage: string;
    readonly partition: string;
    readonly summary: { readonly commit: number } | null;
    readonly open: Readonly<Record<string, number>>;
  }[];
}

interface Tasks {
  readonly sources: ReadonlyMap<string, SourceTaskModel>;
  readonly windows: ReadonlyMap<string, WindowTaskModel>;
}

/**
 * A version ends: what it says to have given up is what was open and under way, and from then on it is gone.
 * @returns events that were on their way through the exchange
 */
export function endVersion(bytes: Uint8Array, { sources, windows }: Tasks): number {
  const text = JSON.parse(Buffer.from(bytes).toString()) as BeginningText;
  const { after, version } = text;
  let underWay = 0;
  for (const source of sources.values()) {
    for (const [partition, sent] of source.sent) {
      const taken = windows.get(String(partition))?.takenFrom(source.name) ?? 0;
      underWay += sent - taken;
    }
  }
  same(
    text.underWay[exchangeHub] ?? 0,
    underWay,
    'I13',
    `${version}: events under way in ${after}`,
  );
  for (const model of [...sources.values(), ...windows.values()]) {
    const found = text.tasks.find(
      ({ partition, stage }) => stage === model.stage && partition === model.partition,
    );
    const what = `${version}: ${model.name} at the end of ${after}`;
    if (found === undefined) {
      same(model.commit, 0, 'I13', `${what}: commits that nobody tells of`);
      continue;
    }
    same(found.summary?.commit ?? 0, model.commit, 'I13', `${what}: its last commit`);
    same(sorted(found.open), sorted(model.open), 'I13', `${what}: what is given up`);
  }
  for (const model of [...sources.values(), ...windows.values()]) model.endVersion();
  holds(underWay >= 0, 'I3', () => `${version}: ${underWay} events under way`);
  return underWay;
}

function sorted(counts: Readonly<Record<string, number>>): unknown {
  return Object.entries(counts).sort();
}
