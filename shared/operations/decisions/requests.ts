/** What can be asked about the plan of a topology, by whichever way: a command, or an app over HTTP. */
import { Type, type Static } from 'typebox';
import { readBuildRecords } from './build-records';
import {
  answered,
  comparePlans,
  verdictOf,
  type PlanDifference,
  type Verdict,
} from './compare-plans';
import { newVersion, removeNodes, removeTopology, type Decided } from './decide';
import { knownToLogs, knowsMore, type KnownToLogs } from './known-to-logs';
import { countOpen } from './open-state';
import { PlanStore, type OwnPlan } from './plan-store';
import { commandsFor, controlBehind } from './plan-texts';
import { rollback } from './rollback';
import type { DecisionWorld } from './standing-plan';

/** The code that is asked, compared with what runs. */
export interface Comparison {
  readonly topology: string;
  /** `new`: nobody has run it on this store. */
  readonly verdict: Verdict | 'new';
  readonly version: string | null;
  readonly number: number;
  readonly differences: readonly Pick<PlanDifference, 'verdict' | 'node' | 'text'>[];
  readonly commands: readonly string[];
  readonly builds: readonly {
    readonly id: string;
    readonly standing: string;
    /** Why it does not commit; null: it does. */
    readonly reason: string | null;
  }[];
}

export async function comparePlan(
  services: DecisionWorld['services'],
  own: OwnPlan,
): Promise<Comparison> {
  const { topology } = own;
  const newest = await new PlanStore(services.objects).newest(topology);
  const known = await knownToLogs(services.appends, topology);
  const records = await readBuildRecords(services.objects, topology);
  const builds = records.map(({ build, reason, standing }) => ({ id: build.id, standing, reason }));
  if (knowsMore(known, newest)) return { ...lostControl(own, known), builds };
  if (newest === null) {
    const none = { differences: [], commands: [], builds };
    return { topology, verdict: 'new', version: null, number: 0, ...none };
  }
  const differences = await answered(comparePlans(newest.document, own.document), (question) =>
    countOpen(services, newest, question),
  );
  const verdict = newest.isRemoved ? 'decision' : verdictOf(differences);
  const commands = verdict === 'decision' ? commandsFor(topology, differences) : [];
  const { number, version } = newest;
  return {
    ...{ topology, verdict, version, number, builds },
    differences: differences.map(({ node, text, verdict: of }) => ({ verdict: of, node, text })),
    commands: newest.isRemoved
      ? [`millrace begin ${topology}   begins it again: it was removed`]
      : commands,
  };
}

/** The build of the plan that the logs name writes control anew with its next start. */
function lostControl(own: OwnPlan, known: KnownToLogs): Omit<Comparison, 'builds'> {
  const { topology } = own;
  const { hasLogs, plan, version } = known;
  const isOwn = hasLogs && (plan === null || plan.hash === own.hash);
  const verdict = isOwn ? 'same' : 'decision';
  const text = controlBehind(topology, known).message;
  return {
    ...{ topology, verdict, version, number: plan?.number ?? 0 },
    differences: [{ verdict, node: '', text }],
    commands: isOwn
      ? []
      : [`millrace decide ${topology} new-version   goes on where the logs stop`],
  };
}

const nodeNames = Type.Array(Type.String({ minLength: 1 }), { minItems: 1 });

/** A decision, as a program asks for it. */
export const decision = Type.Union([
  Type.Object(
    { kind: Type.Enum(['new-version', 'begin', 'remove']) },
    { additionalProperties: false },
  ),
  Type.Object(
    { kind: Type.Literal('remove-nodes'), nodes: nodeNames },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      kind: Type.Literal('rollback'),
      to: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
      isNewVersion: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
]);

export type Decision = Static<typeof decision>;

/** Takes a decision; see decide.ts and rollback.ts. Repeatable. */
export async function take(world: DecisionWorld, asked: Decision): Promise<Decided> {
  switch (asked.kind) {
    case 'new-version':
    case 'begin':
      return newVersion(world, asked.kind);
    case 'remove':
      return removeTopology(world);
    case 'remove-nodes':
      return removeNodes(world, asked.nodes);
    case 'rollback':
      return rollback(world, asked);
  }
}
