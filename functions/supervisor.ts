/**
 * Registers the Durable supervisor: its orchestration, its activities, and the watchdog that starts
 * it when there is none or it does not move. What it does is in shared/supervision.
 */
import type { InvocationContext } from '@azure/functions';
import type * as DurableFunctions from 'durable-functions';
import {
  firstInput,
  supervisor,
  supervisorActivities,
  supervisorInstanceId,
  supervisorName,
} from '../shared/supervision/orchestrator';
import { SupervisorActivities, type SupervisorWorld } from '../shared/supervision/activities';
import { watch, type SupervisorLife } from '../shared/supervision/watchdog';
import type { FunctionApp } from './function-app';

/** A cycle may wait for several overrunning waves before it is taken for stuck. */
const stuckAfterOverruns = 6;

export function registerSupervisor(
  app: FunctionApp,
  world: SupervisorWorld,
  df: typeof DurableFunctions,
): void {
  const activities = new SupervisorActivities(world);
  df.app.orchestration(supervisorName, (context) => supervisor(context.df));
  df.app.activity(supervisorActivities.prepare, {
    handler: (request) => activities.prepare(request as never),
  });
  df.app.activity(supervisorActivities.survey, {
    handler: (request) => activities.survey(request as never),
  });
  df.app.activity(supervisorActivities.tend, {
    handler: (request) => activities.tend(request as never),
  });
  df.app.activity(supervisorActivities.record, {
    handler: (request) => activities.record(request as never),
  });
  const { overrunAfterMs, periodMs } = world.limits;
  const stuckAfterMs = periodMs + stuckAfterOverruns * overrunAfterMs;
  app.timer('supervisor-watchdog', {
    schedule: '*/10 * * * * *',
    extraInputs: [df.input.durableClient()],
    handler: async (_timer: unknown, context: InvocationContext) => {
      const client = df.getClient(context);
      const instanceId = supervisorInstanceId;
      const life = await lifeOf(client);
      const action = watch(life, { nowMs: world.clock.nowMs(), stuckAfterMs });
      if (action.kind === 'leave') return;
      const { why } = action;
      if (action.kind === 'replace') {
        // It is only ended now: the next look finds it ended and starts another.
        world.telemetry.emit('warn', 'supervisor.replace', { why });
        await client.terminate(instanceId, why);
        return;
      }
      world.telemetry.emit('warn', 'supervisor.start', { why });
      await client.startNew(supervisorName, { instanceId, input: firstInput });
    },
  });
}

async function lifeOf(client: DurableFunctions.DurableClient): Promise<SupervisorLife | null> {
  try {
    const { lastUpdatedTime, runtimeStatus } = await client.getStatus(supervisorInstanceId);
    return { runtimeStatus, lastUpdatedMs: new Date(lastUpdatedTime).getTime() };
  } catch (error) {
    // The library tells of a missing instance in this way alone.
    if (error instanceof Error && error.message.includes('HTTP 404')) return null;
    throw error;
  }
}
