import { systemClock } from '../../shared/adapters/process-world';
import {
  readSupervisorReport,
  type SupervisorReport,
} from '../../shared/supervision/supervisor-report';
import { readStandings, type TopologyStanding } from '../../shared/operations/decisions/standings';
import type { SupervisorDecision } from '../../shared/supervision/decision-log';
import { plan } from '../../shared/planner';
import { lossText } from '../../shared/task/promotion';
import type { Topology } from '../../shared/dataflow';
import type { Output } from '../output';
import type { Store } from '../store';

const quietAfterMs = 120_000;

/**
 * What the supervisor saw and decided, from the store alone.
 * @returns false when a task has halted or is marked, a build waits for a decision, a breaker is not closed, or nobody
 * has looked after the tasks for long: neither the orchestration nor the timer
 */
export async function showSupervisor(
  store: Store,
  request: { readonly decisionsMax: number; readonly topologies: readonly Topology[] },
  output: Output,
): Promise<boolean> {
  const world = { appends: store.appends, objects: store.commits, clock: systemClock };
  const report = await readSupervisorReport(world, request);
  const { breakers, decisions, lifeSign, tasks } = report;
  const functionNames = new Set(
    plan(request.topologies).stages.map(({ functionName }) => functionName),
  );
  const halts = report.halts.filter(({ functionName }) => functionNames.has(functionName));
  const names = request.topologies.map(({ name }) => name);
  const plans = await readStandings(store.commits, names);
  const lines = [
    lifeLine(report),
    ...plans.flatMap(planLines),
    ...halts.map(
      ({ atMs, functionName, message, partition }) =>
        `HALTED ${functionName}/${partition} since ${new Date(atMs).toISOString()}: ${message}`,
    ),
    ...(lifeSign?.troubles ?? []).map(
      ({ attempt, error, functionName, isMarked, partition }) =>
        `${isMarked ? 'MARKED ' : 'trouble'} ${functionName}/${partition} after ${attempt} attempts: ${error}`,
    ),
    ...breakers
      .filter(({ phase }) => phase !== 'closed')
      .map(({ error, name, phase, sinceMs }) => {
        const since = new Date(sinceMs).toISOString();
        return `${phase.toUpperCase()} ${name} since ${since}: ${error}`;
      }),
    ...tasks.flatMap(({ functionName, partition, promotion }) =>
      promotion === null ? [] : [lossText(`${functionName}/${partition}`, promotion)],
    ),
    ...tasks
      .filter(({ lag, needs }) => lag > 0 || needs.length > 0)
      .map((task) =>
        [
          `${task.functionName}/${task.partition}`.padEnd(30),
          `lag ${task.lag}`.padEnd(12),
          `commit ${task.commit}`.padEnd(14),
          task.needs.length === 0 ? 'in hand' : `needs ${task.needs.join(', ')}: ${task.why}`,
        ].join(' '),
      ),
    ...(decisions.length > 0 ? ['', 'Decisions, newest first:'] : []),
    ...decisions.map(decisionLine),
  ];
  output.result({ ...report, halts, plans }, lines.join('\n'));
  if (halts.length > 0 || plans.some(({ waitsFor }) => waitsFor !== null)) return false;
  if (breakers.some(({ phase }) => phase !== 'closed')) return false;
  const isMarked = (lifeSign?.troubles ?? []).some((trouble) => trouble.isMarked);
  return !isMarked && systemClock.nowMs() - heardAtMs(report) < quietAfterMs;
}

/** Which plan counts; builds that do not go by it, and what waits for a decision. */
function planLines(standing: TopologyStanding): readonly string[] {
  const { atMs, build, builds, change, isRemoved, number, topology, version, waitsFor } = standing;
  const since = new Date(atMs).toISOString();
  const state = isRemoved ? 'REMOVED' : change;
  const others = builds.filter(({ id, standing: how }) => how === 'superseded' && id !== build);
  return [
    `${topology} ${version}, plan ${number} (${state}) of build ${build} since ${since}`,
    ...others.map(({ id }) => `  build ${id} is superseded`),
    ...(waitsFor === null ? [] : [`WAITS FOR A DECISION: ${waitsFor}`]),
  ];
}

/** When anybody last looked after the tasks; -Infinity: nobody has. */
function heardAtMs({ lifeSign, tasks }: SupervisorReport): number {
  return Math.max(lifeSign?.atMs ?? -Infinity, ...tasks.map(({ surveyedAtMs }) => surveyedAtMs));
}

function lifeLine(report: SupervisorReport): string {
  const { lifeSign, tasks } = report;
  if (lifeSign === null && tasks.length === 0) {
    return 'Nothing has looked after the tasks of this store yet: has the app run on it (--storage)?';
  }
  const lag = tasks.reduce((sum, task) => sum + task.lag, 0);
  const seconds = Math.round((systemClock.nowMs() - heardAtMs(report)) / 1000);
  const quiet = seconds * 1000 >= quietAfterMs ? ': NOT HEARD OF since' : ',';
  const who =
    lifeSign === null
      ? 'A plain timer looks after the tasks (MILLRACE_SUPERVISOR)'
      : `Supervisor in cycle ${lifeSign.cycle}`;
  return `${who}${quiet} ${seconds} s ago; ${tasks.length} tasks, ${lag} messages behind.`;
}

function decisionLine(decision: SupervisorDecision): string {
  const { atMs, attempt, error, functionName, kind, needs, partition, result, why } = decision;
  const what = kind === 'tended' ? `${needs.join(', ')} → ${result ?? ''}` : kind.toUpperCase();
  const who = `${functionName}/${partition}`;
  const failure = error === null ? '' : ` (${error})`;
  return `${new Date(atMs).toISOString()} ${who} ${what}, attempt ${attempt}, by ${decision.worker}: ${why}${failure}`;
}
