/**
 * Registers the engine with a function app: one Event Hubs trigger per stage, and what looks after
 * tasks that no worker holds. What happens is in shared/task, shared/supervision and shared/operations.
 */
import type { InvocationContext } from '@azure/functions';
import { compileAppSettings, type AppSettings } from '../shared/config/settings';
import type { Topology } from '../shared/dataflow';
import { compileStage } from '../shared/execution';
import { drainMarks } from '../shared/operations/decisions/drain-mark';
import { plan } from '../shared/planner';
import { Runtime } from '../shared/task/runtime';
import { buildIdentity } from '../shared/world/build-identity';
import { ownPlans, planAdoption } from '../shared/world/own-plans';
import { createWorld, type World } from '../shared/world/world';
import { chosenTopologies } from './chosen-topologies';
import { registerDecisions } from './decisions';
import { faultPointOf } from './fault-point';
import type { FunctionApp } from './function-app';
import { batchTimeMs } from './host-timeout';
import { hubMessages } from './hub-messages';
import { registerRecovery } from './recovery';
import { withTableLimits } from './table-limits';

export interface MillraceOptions {
  /** What the app runs, all of it unless the setting MILLRACE_TOPOLOGIES names some. */
  readonly topologies: readonly Topology[];
  /** The app's settings. Default: the environment, where the platform puts them. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The folder with host.json. Default: the working directory, which is the app's in every host. */
  readonly appDirectory?: string;
}

/**
 * Makes a function app run topologies. To be called once, while the app loads.
 * @throws StreamError STREAM_TOPOLOGY_INVALID with every fault of the topologies,
 * STREAM_CONFIGURATION_INVALID with every setting that is missing or wrong
 */
export function registerMillrace(app: FunctionApp, options: MillraceOptions): void {
  const { appDirectory = process.cwd(), environment = process.env, topologies } = options;
  const settings = compileAppSettings(environment);
  const faultPoint = faultPointOf(settings);
  const world = createWorld(settings, faultPoint);
  const batchMs = batchTimeMs(appDirectory);
  const chosen = new Set(chosenTopologies(settings.topologies, topologies).map(({ name }) => name));
  const stages = plan(topologies)
    .stages.filter(({ topology }) => chosen.has(topology))
    .map((planned) => withTableLimits(planned, settings))
    .map((planned) => ({ plan: planned, services: world.servicesOf(planned) }));
  const build = buildIdentity();
  const own = ownPlans(topologies, stages);
  const plans = planAdoption(world.services, { build, plans: own, mayMove: true });
  const versionOf = (topology: string): Promise<string> => plans.versionOf(topology);
  const isDraining = drainMarks({ ...world, versionOf });
  const runtime = new Runtime({
    stages: stages.map((one) => ({ ...one, stage: compileStage(one.plan, topologies) })),
    hubCheckIntervalMs: settings.hubCheckIntervalMs,
    plans,
    isDraining,
  });
  for (const one of stages) registerTrigger(app, { plan: one.plan, runtime, world, batchMs });
  registerDecisions(app, {
    ...{ services: world.services, build },
    plans: own.filter(({ topology }) => chosen.has(topology)),
  });
  registerRecovery(app, {
    ...{ settings, world, runtime, stages, batchMs, faultPoint, isDraining, versionOf, topologies },
  });
  tendAlways({ settings, world, runtime, batchMs });
}

function registerTrigger(
  app: FunctionApp,
  {
    batchMs,
    plan: { consumerGroup, functionName, input },
    runtime,
    world,
  }: {
    readonly plan: Parameters<World['servicesOf']>[0];
    readonly runtime: Runtime;
    readonly world: World;
    readonly batchMs: number;
  },
): void {
  // `binary`: bodies come as they were sent. Without it the host parses them, and one bad event
  // would cost the whole batch before our code is asked. (The option has no type in the library.)
  const trigger = {
    connection: 'EventHubConnection',
    eventHubName: input.hub,
    consumerGroup,
    cardinality: 'many' as const,
    dataType: 'binary',
  };
  app.eventHub(functionName, {
    ...trigger,
    handler: async (bodies: unknown, context: InvocationContext) => {
      const deadlineMs = world.clock.nowMs() + batchMs;
      const { partition, messages } = hubMessages(bodies as unknown[], context);
      await runtime.processBatch({ functionName, partition, messages, deadlineMs });
    },
  });
}

/**
 * Between batches each worker looks after the tasks it holds. Where the platform freezes an idle
 * worker this stands still, and the timer or the supervisor, on a worker that runs, takes over.
 */
function tendAlways({
  batchMs,
  runtime,
  settings,
  world,
}: {
  readonly settings: AppSettings;
  readonly world: World;
  readonly runtime: Runtime;
  readonly batchMs: number;
}): void {
  let isTending = false;
  setInterval(() => {
    if (isTending) return;
    isTending = true;
    runtime
      .tendHeld(world.clock.nowMs() + batchMs)
      .catch((error: unknown) => {
        world.telemetry.emit('error', 'tend.failed', { error: String(error) });
      })
      .finally(() => {
        isTending = false;
      });
  }, settings.tendIntervalMs).unref();
}
