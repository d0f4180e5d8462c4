/** A process that takes one decision, with the code of one build; it dies where it is told to. */
import { topologies } from '../../topologies';
import { faultPointOf } from '../../functions/fault-point';
import { compileAppSettings } from '../../shared/config/settings';
import { newVersion, removeTopology, type Decided } from '../../shared/operations/decisions/decide';
import { rollback } from '../../shared/operations/decisions/rollback';
import type { DecisionWorld } from '../../shared/operations/decisions/standing-plan';
import { plan } from '../../shared/planner';
import { buildIdentity } from '../../shared/world/build-identity';
import { ownPlans } from '../../shared/world/own-plans';
import { createWorld } from '../../shared/world/world';

const decisions: Readonly<Record<string, (world: DecisionWorld) => Promise<Decided>>> = {
  'new-version': (world) => newVersion(world),
  begin: (world) => newVersion(world, 'begin'),
  remove: (world) => removeTopology(world),
  rollback: (world) => rollback(world, { to: null, isNewVersion: false }),
};

async function main(): Promise<void> {
  const decide = decisions[process.argv[2] ?? ''];
  const settings = compileAppSettings(process.env);
  const telemetry = { emit: () => undefined };
  const world = createWorld(settings, faultPointOf(settings), { telemetry });
  const stages = plan(topologies).stages.map((stage) => ({ plan: stage }));
  const [own] = ownPlans(topologies, stages);
  if (decide === undefined || own === undefined) throw new Error('which decision?');
  const { services } = world;
  const decided = await decide({ services, build: buildIdentity(), own });
  process.stdout.write(JSON.stringify(decided));
  await world.close();
}

main().catch((error: unknown) => {
  process.stderr.write(String(error));
  process.exitCode = 1;
});
