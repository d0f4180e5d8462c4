// Goal: an orchestration that was under way when a new build is deployed goes on as if nothing had
// happened.
// Method: recorded histories, as the host hands them over, replayed by the real durable-functions
// package: whole and cut after each episode, they must give the recorded actions. A fixture is never
// edited; an orchestrator that must change gets a new name beside the old one.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { job } from '../../../shared/operations/jobs/orchestration';
import { supervisor } from '../../../shared/supervision/orchestrator';
import { replay, type RecordedHistory, type RunOptions } from '../../support/durable-replay';

const root = join(__dirname, '../../fixtures/orchestrations');
const orchestrators: Readonly<Record<string, RunOptions['orchestrator']>> = { supervisor, job };
const orchestratorCompleted = 13;

const recorded = readdirSync(root).flatMap((folder) =>
  readdirSync(join(root, folder)).map((file): [string, RecordedHistory] => [
    `${folder}/${file}`,
    JSON.parse(readFileSync(join(root, folder, file), 'utf8')) as RecordedHistory,
  ]),
);

/** Whether a timer was cancelled is said of an action that was asked for before. */
function withoutCancelled(actions: unknown): unknown {
  return JSON.parse(
    JSON.stringify(actions, (name, value: unknown) => (name === 'isCanceled' ? undefined : value)),
  );
}

describe('recorded histories', () => {
  it('are there for every orchestrator', () => {
    expect(new Set(recorded.map(([, { orchestrator }]) => orchestrator))).toEqual(
      new Set(Object.keys(orchestrators)),
    );
  });

  it.each(recorded)('%s gives the recorded actions', async (_name, { actions, ...run }) => {
    const orchestrator = orchestrators[run.orchestrator];
    if (orchestrator === undefined) throw new Error(`no orchestrator ${run.orchestrator}`);
    expect((await replay(orchestrator, run)).actions).toEqual(actions);
    const all = withoutCancelled(actions[0]) as unknown[];
    for (let end = 0; end < run.history.length; end += 1) {
      if (run.history[end]?.EventType !== orchestratorCompleted) continue;
      const history = run.history.slice(0, end);
      const [some] = withoutCancelled(
        (await replay(orchestrator, { ...run, history })).actions,
      ) as [unknown[]];
      expect(some).toEqual(all.slice(0, some.length));
    }
  });
});
