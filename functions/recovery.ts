/**
 * Who looks after tasks that no worker holds: the Durable supervisor where the setting says so,
 * else a plain timer that does the same for one task after the other.
 */
import type * as DurableFunctions from 'durable-functions';
import type { AppSettings } from '../shared/config/settings';
import type { FaultPoint } from '../shared/model/ports';
import type { SurveyedStage } from '../shared/supervision/survey/surveyor';
import { supervisorLimits } from '../shared/supervision/activities';
import { PlainSupervisor } from '../shared/supervision/plain-supervisor';
import { defaultStageLimits } from '../shared/task/services';
import type { Runtime } from '../shared/task/runtime';
import type { Topology } from '../shared/dataflow';
import { createJobWorld } from '../shared/world/job-world';
import type { World } from '../shared/world/world';
import { readStandings } from '../shared/operations/decisions/standings';
import { readSupervisorReport } from '../shared/supervision/supervisor-report';
import { registerJobs } from './jobs';
import type { FunctionApp } from './function-app';
import { registerSupervisor } from './supervisor';

/** A wave of a job's activities: short, so that a worker that left is soon missed. */
const jobBudgetMs = 60_000;

export interface RecoveryOptions {
  readonly settings: AppSettings;
  readonly world: World;
  readonly runtime: Runtime;
  readonly stages: readonly SurveyedStage[];
  readonly batchMs: number;
  readonly faultPoint: FaultPoint;
  readonly topologies: readonly Topology[];
  readonly isDraining: (topology: string) => Promise<boolean>;
  /** See SurveyorOptions. */
  readonly versionOf?: (topology: string) => Promise<string>;
}

export function registerRecovery(app: FunctionApp, options: RecoveryOptions): void {
  const { batchMs, settings, world } = options;
  registerReports(app, options);
  if (settings.supervisor === 'timer') {
    registerTimer(app, options);
    return;
  }
  const { stallAfterMs, supervisorPeriodMs: periodMs } = settings;
  const df = durableFunctions();
  registerSupervisor(
    app,
    {
      ...options,
      ...{ appends: world.appends, objects: world.control, worker: world.writer },
      ...{ clock: world.clock, telemetry: world.telemetry },
      limits: supervisorLimits({ periodMs, stallAfterMs, batchMs }),
      graceMs: graceMsOf(settings),
      messagesMax: defaultStageLimits.gapReadMessagesMax,
    },
    df,
  );
  registerJobs(
    app,
    { world: createJobWorld(options), budgetMs: Math.min(batchMs, jobBudgetMs) },
    df,
  );
}

/** What can be asked of the supervisor while it runs, or does not. */
function registerReports(
  app: FunctionApp,
  { topologies, world }: Pick<RecoveryOptions, 'topologies' | 'world'>,
): void {
  app.http('supervisor', {
    route: 'supervisor',
    methods: ['GET'],
    authLevel: 'function',
    handler: async (request) => {
      const decisionsMax = Math.min(
        1_000,
        Math.max(1, Math.floor(Number(request.query.get('decisions') ?? 100)) || 100),
      );
      const { appends, clock, control: objects } = world;
      const report = await readSupervisorReport({ appends, clock, objects }, { decisionsMax });
      const names = topologies.map(({ name }) => name);
      return { jsonBody: { ...report, plans: await readStandings(objects, names) } };
    },
  });
}

function registerTimer(app: FunctionApp, options: RecoveryOptions): void {
  const { batchMs, settings, world } = options;
  const supervisor = new PlainSupervisor({
    ...options,
    ...{ objects: world.control, clock: world.clock, telemetry: world.telemetry },
    periodMs: settings.supervisorPeriodMs,
    graceMs: graceMsOf(settings),
    abandonedAfterMs: 2 * settings.stallAfterMs,
    sleep: (milliseconds) => world.sleep(milliseconds),
  });
  app.timer('tend', {
    schedule: '*/10 * * * * *',
    handler: () => supervisor.cycle(world.clock.nowMs() + batchMs),
  });
}

/** Whoever holds a task looks after it at every tend: two of them may have been missed. */
function graceMsOf({ tendIntervalMs }: AppSettings): number {
  return 2 * tendIntervalMs;
}

/** Loaded only where it is used: an app without a supervisor starts without it. */
function durableFunctions(): typeof DurableFunctions {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- lazily, see above
  return require('durable-functions') as typeof DurableFunctions;
}
