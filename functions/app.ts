/**
 * The function app: one Event Hubs trigger per stage, and what looks after tasks that no worker
 * holds. Registration only: what happens is in shared/task, shared/supervision and shared/operations.
 */
import { app, type InvocationContext } from '@azure/functions';
import { compileAppSettings } from '../shared/config/settings';
import { plan } from '../shared/planner';
import { compileStage } from '../shared/execution';
import { Runtime } from '../shared/task/runtime';
import { topologies } from '../topologies';
import { chosenTopologies } from './chosen-topologies';
import { drainMarks } from './drain-marks';
import { faultPointOf } from './fault-point';
import { batchTimeMs } from './host-timeout';
import { hubMessages } from './hub-messages';
import { registerRecovery } from './recovery';
import { withTableLimits } from './table-limits';
import { createWorld } from '../shared/world/world';

const settings = compileAppSettings(process.env);
const faultPoint = faultPointOf(settings);
const world = createWorld(settings, faultPoint);
const batchMs = batchTimeMs(process.cwd());
const chosen = new Set(chosenTopologies(settings.topologies, topologies).map(({ name }) => name));
const stages = plan(topologies)
  .stages.filter(({ topology }) => chosen.has(topology))
  .map((planned) => withTableLimits(planned, settings));

const served = stages.map((plan) => ({ plan, services: world.servicesOf(plan) }));
const isDraining = drainMarks(world);
const runtime = new Runtime({
  stages: served.map((one) => ({ ...one, stage: compileStage(one.plan, topologies) })),
  hubCheckIntervalMs: settings.hubCheckIntervalMs,
  isDraining,
});

for (const stage of stages) {
  // `binary`: bodies come as they were sent. Without it the host parses them, and one bad event
  // would cost the whole batch before our code is asked. (The option has no type in the library.)
  const trigger = {
    connection: 'EventHubConnection',
    eventHubName: stage.input.hub,
    consumerGroup: stage.consumerGroup,
    cardinality: 'many' as const,
    dataType: 'binary',
  };
  app.eventHub(stage.functionName, {
    ...trigger,
    handler: async (bodies: unknown, context: InvocationContext) => {
      const deadlineMs = world.clock.nowMs() + batchMs;
      const { partition, messages } = hubMessages(bodies as unknown[], context);
      await runtime.processBatch({
        functionName: stage.functionName,
        partition,
        messages,
        deadlineMs,
      });
    },
  });
}

registerRecovery({
  settings,
  world,
  runtime,
  stages: served,
  batchMs,
  faultPoint,
  isDraining,
  topologies,
});

/**
 * Between batches each worker looks after the tasks it holds. Where the platform freezes an idle
 * worker this stands still, and the timer or the supervisor, on a worker that runs, takes over.
 */
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
