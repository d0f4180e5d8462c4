import { parseEventHubConnectionString } from '@azure/event-hubs';
import { compileAppSettings } from '../shared/config/settings';
import { plan } from '../shared/planner';
import { compileStage } from '../shared/execution';
import { Runtime } from '../shared/task/runtime';
import { buildIdentity } from '../shared/world/build-identity';
import { createJobWorld } from '../shared/world/job-world';
import type { JobWorld } from '../shared/operations/jobs/work-on-job';
import { ownPlans, planAdoption } from '../shared/world/own-plans';
import { createWorld, type World } from '../shared/world/world';
import type { Topology } from '../shared/dataflow';
import { WrongUse } from './arguments';
import { openStore } from './store';

/** Where an app keeps its data and gets its events. */
export interface EngineLocation {
  /** Connection strings, or an `https://` endpoint and a namespace's host name. */
  readonly storage: string;
  readonly hubs: string;
}

/** The app's engine in this process: it can do what a worker does, beside those that run. */
export interface Engine {
  readonly world: World;
  readonly jobs: JobWorld;
  close(): Promise<void>;
}

/** Throws WrongUse without saying the text again, for it may hold a key. */
function assertHubs(hubs: string, isNamespace: boolean): void {
  let fault = /^[\w-]+(\.[\w-]+)+$/.test(hubs) ? null : 'no host name and no Endpoint=';
  if (!isNamespace) {
    try {
      const parsed = parseEventHubConnectionString(hubs);
      const hasKey = 'sharedAccessKey' in parsed || 'sharedAccessSignature' in parsed;
      fault = hasKey
        ? null
        : 'no SharedAccessKeyName with SharedAccessKey, no SharedAccessSignature';
    } catch (error) {
      fault = (error as Error).message;
    }
  }
  if (fault === null) return;
  throw new WrongUse(
    `--hubs is neither an Event Hubs connection string nor a namespace as in name.servicebus.windows.net (${fault})`,
  );
}

export function openEngine(
  topologies: readonly Topology[],
  location: EngineLocation,
  say: (line: string) => void,
): Engine {
  const isEndpoint = location.storage.startsWith('https://');
  const isNamespace = !location.hubs.includes('Endpoint=');
  openStore(location.storage);
  assertHubs(location.hubs, isNamespace);
  const settings = compileAppSettings({
    [isEndpoint ? 'LakeStorage__blobServiceUri' : 'LakeStorage']: location.storage,
    [isNamespace ? 'EventHubConnection__fullyQualifiedNamespace' : 'EventHubConnection']:
      location.hubs,
  });
  const faultPoint = (): void => undefined;
  const world = createWorld(settings, faultPoint, {
    telemetry: {
      // A person at a terminal wants what went wrong, and nothing else.
      emit: (level, event, fields) => {
        if (level === 'warn' || level === 'error') say(`${event} ${JSON.stringify(fields)}`);
      },
    },
  });
  const stages = plan(topologies).stages.map((stage) => ({
    plan: stage,
    services: world.servicesOf(stage),
  }));
  // A command works under the plan that there is, and never brings its own.
  const plans = planAdoption(world.services, {
    build: buildIdentity(),
    plans: ownPlans(topologies, stages),
    mayMove: false,
  });
  const runtime = new Runtime({
    plans,
    stages: stages.map((one) => ({ ...one, stage: compileStage(one.plan, topologies) })),
    hubCheckIntervalMs: settings.hubCheckIntervalMs,
    isDraining: async () => false,
  });
  const jobs = createJobWorld({ world, runtime, stages, topologies, faultPoint });
  return { world, jobs, close: () => world.close() };
}
