// Goal: whoever asks how tasks are looked after is told the truth under the timer, too.
import type { Store } from '../../../cli/store';
import { showSupervisor } from '../../../cli/commands/supervisor';
import { MemoryAppendStore, MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import type { Promotion } from '../../../shared/model/commit';
import type { HaltMark } from '../../../shared/task/halt-marks';
import { surveyPageName, type SurveyPage } from '../../../shared/supervision/survey/surveyor';
import { emptyDigest } from '../../../shared/supervision/survey/task-digest';
import type { Output } from '../../../cli/output';
import { newVersion } from '../../../shared/operations/decisions/decide';
import { topologies } from '../../../topologies';
import { newBuild, oldBuild, Shop, shopApp } from '../../support/shop';

async function shown(
  surveyedAtMs: number | null,
  halted: readonly HaltMark[] = [],
  promotion: Promotion | null = null,
): Promise<{ isRight: boolean; text: string }> {
  const commits = new MemoryObjectStore();
  for (const mark of halted) {
    const name = `control/_halted/${mark.functionName}/${mark.partition}.json`;
    await commits.put(name, Buffer.from(JSON.stringify(mark)));
  }
  if (surveyedAtMs !== null) {
    const task = {
      ...{ partition: '0', version: 'v1', incarnation: '1', digest: { ...emptyDigest, promotion } },
      ...{ hubLast: 6, hubEnd: 7, lag: 7 },
      ...{ lagSinceMs: null, lagAtCursor: 'null', isLagExact: false, settledThrough: 0 },
      ...{ needs: [], why: '' },
    };
    const page: SurveyPage = {
      ...{ format: 4, functionName: 'orders', topology: 'orders', stage: 'orders' },
      ...{ surveyedAtMs, tasks: [task] },
    };
    await commits.put(surveyPageName('orders', 0), Buffer.from(JSON.stringify(page)));
  }
  let text = '';
  const output = {
    result: (_value: unknown, lines: string) => (text = lines),
  } as unknown as Parameters<typeof showSupervisor>[2];
  const store = { commits, appends: new MemoryAppendStore() } as unknown as Store;
  const isRight = await showSupervisor(store, { decisionsMax: 10, topologies }, output);
  return { isRight, text };
}

it('is right where the timer has surveyed a moment ago', async () => {
  const { isRight, text } = await shown(Date.now());
  expect(text).toMatch(
    /^A plain timer looks after the tasks \(MILLRACE_SUPERVISOR\), \d s ago; 1 tasks, 7 messages behind\.\n/,
  );
  expect(isRight).toBe(true);
});

it('is not where nobody has surveyed for minutes', async () => {
  const { isRight, text } = await shown(Date.now() - 300_000);
  expect(text).toContain(': NOT HEARD OF since 300 s ago');
  expect(isRight).toBe(false);
});

it('is not where nothing has run', async () => {
  const { isRight, text } = await shown(null);
  expect(text).toContain('Nothing has looked after the tasks of this store yet');
  expect(isRight).toBe(false);
});

it('says what was lost with a region, and is right', async () => {
  const { isRight, text } = await shown(Date.now(), [], {
    ...{ count: 1, noticedAtMs: 0, fromSequenceNumber: 70, readThrough: 99 },
    ...{ fromEnqueuedMs: 1, isDeclared: true },
  });
  expect(text).toContain(
    'LOST orders/0: its hub was promoted by force, noticed 1970-01-01T00:00:00.000Z: numbers from 70 on were given ' +
      'out again. What had been read up to 99 counts; what had come behind it and was not read yet is lost',
  );
  expect(isRight).toBe(true);
});

describe('where a task has halted', () => {
  const mark: HaltMark = {
    ...{ format: 1, topology: 'flights', stage: 'flights', functionName: 'flights-flights' },
    ...{ partition: '1', code: 'STREAM_STATE_MISMATCH', writer: 'worker-1', atMs: 0 },
    message: 'STREAM_STATE_MISMATCH: the window was renamed',
  };

  it('is not, and says why', async () => {
    const { isRight, text } = await shown(Date.now(), [mark]);
    expect(text).toContain(
      'HALTED flights-flights/1 since 1970-01-01T00:00:00.000Z: STREAM_STATE_MISMATCH: the window was renamed',
    );
    expect(isRight).toBe(false);
  });

  it('is right when the stage is no more', async () => {
    const { isRight, text } = await shown(Date.now(), [{ ...mark, functionName: 'former' }]);
    expect(text).not.toContain('HALTED');
    expect(isRight).toBe(true);
  });
});

it('is told which plan counts, and what a newer build waits to have decided', async () => {
  const shop = new Shop();
  const { appends, objects } = shop.world;
  const ask = async (): Promise<{ isRight: boolean; text: string }> => {
    const store = { appends, commits: objects } as unknown as Store;
    let text = '';
    const output = { result: (_value: unknown, shownText: string) => void (text = shownText) };
    const request = { decisionsMax: 5, topologies: shopApp() };
    const isRight = await showSupervisor(store, request, output as unknown as Output);
    return { isRight, text };
  };
  await shop.halfDone(oldBuild);
  const hourly = shopApp({ sizeMs: 3_600_000 });
  const newer = shop.world.workerOf(newBuild, hourly);
  await expect(shop.sale(newer, 0, ['a'], 3_500)).rejects.toThrow('STREAM_DECISION_NEEDED');
  const waiting = await ask();
  expect(waiting.isRight).toBe(false);
  expect(waiting.text).toContain('shop v1, plan 1 (first) of build old since ');
  expect(waiting.text).toContain('WAITS FOR A DECISION: STREAM_DECISION_NEEDED');
  await newVersion(shop.world.decisionWorld(newBuild, hourly));
  await shop.goOn(newBuild, { sizeMs: 3_600_000 });
  const older = shop.world.workerOf(oldBuild, shopApp());
  await shop.sale(older, 0, ['a'], 6_000);
  const decided = await ask();
  expect(decided.text).toContain('shop v2, plan 2 (new-version) of build new since ');
  expect(decided.text).toContain('build old is superseded');
  expect(decided.text).not.toContain('WAITS');
});
