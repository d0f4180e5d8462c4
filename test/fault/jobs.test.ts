// Goal: jobs run on the app's workers through Durable Functions, and come to an end whoever dies.
// Method: real processes; the HTTP API starts the jobs; workers are killed while they run.
import { rmSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobAppendStore } from '../../shared/adapters/blob-append-store';
import { connectContainer } from '../../shared/adapters/blob-container';
import { readLetters } from '../../shared/operations/letters/letter-reader';
import { someOrders } from '../support/orders';
import { eventually } from '../support/outcome';
import { OrdersRun } from './orders-run';

jest.setTimeout(600_000);

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly report: Readonly<Record<string, unknown>> | null;
}

describe('jobs on the workers', () => {
  let run: OrdersRun | undefined;
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-token-'));
  });

  afterEach(async () => {
    await run?.close();
    run = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  async function aRun(settings: Readonly<Record<string, string>> = {}): Promise<OrdersRun> {
    run = await OrdersRun.start({
      settings: {
        MILLRACE_SUPERVISOR: 'durable',
        MILLRACE_SUPERVISOR_PERIOD_MS: '2000',
        ...settings,
      },
    });
    return run;
  }

  async function start(of: OrdersRun, kind: string, options: unknown): Promise<string> {
    // A worker that was just killed takes a moment to be another.
    return eventually(
      async () => {
        const response = await fetch(`${of.cluster.host.httpUrl}/api/jobs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ kind, options, workers: 2 }),
        }).catch(() => null);
        return response?.status === 202 ? ((await response.json()) as { id: string }).id : '';
      },
      (id) => id !== '',
      60_000,
    );
  }

  async function ended(of: OrdersRun, id: string): Promise<Answer> {
    return eventually(
      async () => {
        const response = await fetch(`${of.cluster.host.httpUrl}/api/jobs/${id}`).catch(() => null);
        return response?.ok === true
          ? ((await response.json()) as Answer)
          : { id, status: 'unknown', report: null };
      },
      ({ status }) => ['completed', 'failed', 'cancelled'].includes(status),
      120_000,
    );
  }

  it('audit a run, and find it right', async () => {
    const of = await aRun();
    const post = async (body: string): Promise<{ status: number; error: string }> => {
      const response = await fetch(`${of.cluster.host.httpUrl}/api/jobs`, { method: 'POST', body });
      const { error } = (await response.json()) as { error: string };
      return { status: response.status, error };
    };
    const answers = await Promise.all(
      [
        '{"kind":',
        '[]',
        '{"kind":"wish","options":{}}',
        '{"kind":"audit","options":{"topology":5,"withHub":true}}',
        '{"kind":"audit","options":{"topology":"orders","withHub":true},"workers":-1}',
        '{"kind":"audit","id":"../x","options":{"topology":"orders","withHub":true}}',
      ].map(post),
    );
    expect(answers).toEqual([
      { status: 400, error: 'the body is not JSON' },
      { status: 400, error: 'the body must be object' },
      { status: 400, error: expect.stringContaining("the body's kind must be one of redrive,") },
      { status: 400, error: expect.stringContaining('options.topology must be string') },
      { status: 400, error: 'the body/workers must be >= 1' },
      { status: 400, error: expect.stringContaining("a job's id has 3 to 61 of a-z") },
    ]);
    const orders = someOrders(2_000);
    await of.send(orders);
    await of.finish();
    await of.expectOracle();
    const answer = await ended(of, await start(of, 'audit', { topology: 'orders', withHub: true }));
    expect(answer).toMatchObject({ status: 'completed', report: { discrepancies: 0 } });
    expect(answer.report?.['comparedWithHub']).toBeGreaterThanOrEqual(2_000);
  });

  it.each(['stage.after-commit', 'job.after-claim', 'job.after-piece'])(
    'redrive once, although a worker dies at %s',
    async (point) => {
      const token = join(folder, 'token');
      const of = await aRun({ MILLRACE_FAULT_POINT: point, MILLRACE_FAULT_TOKEN: token });
      const bad = Array.from({ length: 20 }, (_, index) => ({
        ...{ id: 10_000 + index, customer: 'customer-1', time: Date.UTC(2026, 0, 1), amount: 5 },
        harm: 'throw',
      }));
      const orders = someOrders(400);
      await of.send([...orders.slice(0, 200), ...bad, ...orders.slice(200)]);
      await of.untilRead(420);
      writeFileSync(token, '');
      const options = {
        ...{ topology: 'orders', verdict: 'redriven', reason: 'test', filter: {}, isForced: false },
      };
      const answer = await ended(of, await start(of, 'redrive', options));
      // Nothing was mended: each dies once more, and once only.
      expect(answer).toMatchObject({ status: 'failed', report: { found: 20 } });
      const appends = new BlobAppendStore(
        connectContainer({
          connectionString: of.cluster.storageConnectionString,
          container: 'millrace',
        }),
      );
      const letters = await readLetters(appends, 'orders');
      const settled = letters.filter(({ verdict }) => verdict !== null);
      expect(settled).toHaveLength(20);
      const open = letters.filter(({ verdict }) => verdict === null);
      // One attempt more than before: how many those were is up to who had the partition.
      const attempts = (of: typeof letters): number[] =>
        of.map(({ letter }) => letter.attempts).sort((left, right) => left - right);
      expect(attempts(open)).toEqual(attempts(settled).map((before) => before + 1));
      const audit = await ended(
        of,
        await start(of, 'audit', { topology: 'orders', withHub: true }),
      );
      expect(audit).toMatchObject({ status: 'completed', report: { discrepancies: 0 } });
    },
  );
});
