/* eslint-disable @typescript-eslint/no-explicit-any -- what apps note has a shape each test knows */
// Goal: a timer runs on one worker, never overlapping, and no time is lost with the worker that had it.
import { ContainerClient } from '@azure/storage-blob';
import { startPlace, startRun, until, type Place, type Run } from './support';

jest.setTimeout(120_000);

let place: Place;
let run: Run;

beforeAll(async () => {
  place = await startPlace();
});
afterAll(() => place.close());
afterEach(() => run.close());

async function tick(
  settings: Record<string, string>,
  others: Parameters<typeof startRun>[2] = {},
): Promise<Run> {
  run = await startRun(place, 'timer', { ...others, settings });
  return run;
}

const began = (): any[] => run.notes().filter((note) => note['began'] !== undefined);
const hosts = (): ContainerClient =>
  new ContainerClient(place.azurite.connectionString, 'azure-webjobs-hosts');

test('a run that outlasts its interval is followed by the next at once, on one of two workers, without overlap', async () => {
  await tick({ SCHEDULE: '* * * * * *', WORK_MS: '1300' }, { workers: 2 });
  await until('three runs', () => run.notes().filter(({ ended }) => ended).length >= 3);
  const notes = run.notes();
  expect(new Set(notes.map(({ pid }) => pid)).size).toBe(1);
  expect(notes.slice(0, 6).map(({ began: start }) => start !== undefined)).toEqual([
    ...[true, false, true, false, true, false],
  ]);
  expect(began()[0].timer).toEqual({
    schedule: { adjustForDST: true },
    scheduleStatus: null,
    isPastDue: false,
  });
  const [[firstEnded, nextBegan] = [0, 0]] = notes
    .slice(1, 3)
    .map((_note, _index, [ended, later]) => [
      ended?.['ended'] as number,
      later?.['began'] as number,
    ]);
  expect(nextBegan - firstEnded).toBeLessThan(600);
  expect(began().every(({ timer }) => timer.isPastDue === false)).toBe(true);
});

test('a time span is a schedule; a failing run does not stop it; retries count', async () => {
  await tick({
    SCHEDULE: '00:00:01',
    THROWS: 'yes',
    OPTIONS: JSON.stringify({
      retry: { strategy: 'fixedDelay', maxRetryCount: 1, delayInterval: 0 },
    }),
  });
  await until('four runs', () => began().length >= 4);
  expect(
    began()
      .slice(0, 4)
      .map(({ retryContext }) => retryContext.retryCount),
  ).toEqual([0, 1, 0, 1]);
});

test('runOnStartup runs once for a host, not once for a worker, and its status is kept', async () => {
  const hostid = 'startup-host';
  const settings = {
    SCHEDULE: '0 0 0 1 1 *',
    OPTIONS: JSON.stringify({ runOnStartup: true }),
    AzureFunctionsWebHost__hostid: hostid,
  };
  await tick(settings, { workers: 2 });
  await until('a run', () => run.notes().some(({ ended }) => ended));
  const blob = hosts().getBlobClient(`timers/${hostid}/Host.Functions.tick/status`);
  const status = await until('a status', async () => {
    const found = JSON.parse((await blob.downloadToBuffer()).toString()) as Record<string, string>;
    return found['Last']?.startsWith('0001') === true ? null : found;
  });
  expect(Object.keys(status).sort()).toEqual(['Last', 'LastUpdated', 'Next']);
  expect(status['Next']).toMatch(/-(01-01|12-31)T/);
  expect(began()).toHaveLength(1);
  expect(began()[0].timer.isPastDue).toBe(false);
  expect(began()[0].timer.scheduleStatus.last).toMatch(/^0001-/);
});

test('a monitored timer whose time passed while no host was there runs at once, past due', async () => {
  const hostid = 'past-due-host';
  const hourAgo = (hours: number): string =>
    new Date((Math.floor(Date.now() / 3_600_000) - hours) * 3_600_000).toISOString();
  const text = JSON.stringify({ Last: hourAgo(3), Next: hourAgo(2), LastUpdated: hourAgo(3) });
  await hosts().createIfNotExists();
  await hosts()
    .getBlockBlobClient(`timers/${hostid}/Host.Functions.tick/status`)
    .upload(text, text.length);
  await tick({ SCHEDULE: '0 0 * * * *', AzureFunctionsWebHost__hostid: hostid });
  await until('a run', () => run.notes().some(({ ended }) => ended));
  expect(began()).toHaveLength(1);
  expect(run.lines.join('\n')).toContain('UnscheduledInvocationReason: IsPastDue');
  expect(began()[0].timer).toMatchObject({
    isPastDue: true,
    scheduleStatus: { last: (JSON.parse(text) as { Last: string }).Last },
  });
});

test('useMonitor false: nothing is made up for and no status is kept', async () => {
  const hostid = 'unmonitored-host';
  const text = JSON.stringify({
    ...{ Last: '2020-01-01T00:00:00Z', Next: '2020-01-01T01:00:00Z' },
    LastUpdated: '2020-01-01T00:00:00Z',
  });
  await hosts()
    .getBlockBlobClient(`timers/${hostid}/Host.Functions.tick/status`)
    .upload(text, text.length);
  await tick({
    SCHEDULE: '0 0 0 1 1 *',
    OPTIONS: JSON.stringify({ useMonitor: false }),
    AzureFunctionsWebHost__hostid: hostid,
  });
  const lock = hosts().getBlobClient(`locks/${hostid}/Host.Functions.tick.Listener`);
  await until('the lock is held', async () =>
    lock.getProperties().then(
      ({ metadata }) => metadata?.['due'] !== undefined,
      () => false,
    ),
  );
  expect(began()).toEqual([]);
});

test('the worker that holds the timer dies just before its time: another fires it', async () => {
  await tick(
    { SCHEDULE: '*/20 * * * * *', OPTIONS: JSON.stringify({ runOnStartup: true }) },
    { workers: 2 },
  );
  await until('the first run', () => run.notes().some(({ ended }) => ended));
  const [{ pid }] = began();
  const due = Math.ceil((Date.now() + 1_500) / 20_000) * 20_000;
  await until('just before the next time', () => Date.now() >= due - 500, 30_000);
  process.kill(pid, 'SIGKILL');
  const later = await until('another worker has fired', () =>
    began().find((note) => note.began >= due - 100),
  );
  expect(later.pid).not.toBe(pid);
  expect(later.began).toBeLessThan(due + 20_000);
  expect(later.timer.isPastDue).toBe(true);
});

test('POST /admin/functions/{name} runs a timer by hand', async () => {
  await tick({ SCHEDULE: '0 0 0 1 1 *' });
  const response = await fetch(`${run.host.httpUrl}/admin/functions/tick`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"input":""}',
  });
  expect(response.status).toBe(202);
  await until('it ran', () => run.notes().some(({ ended }) => ended));
});

test('a resume without a drain before it changes nothing: the next drain ends', async () => {
  await tick({ SCHEDULE: '* * * * * *' });
  await until('a run', () => run.notes().some(({ ended }) => ended));
  const admin = async (method: string, path: string): Promise<any> =>
    (await fetch(`${run.host.httpUrl}/admin/host/${path}`, { method })).json();
  await admin('POST', 'resume');
  await admin('POST', 'drain');
  await until('drained', async () => (await admin('GET', 'drain/status')).state === 'Completed');
  const ran = began().length;
  await admin('POST', 'resume');
  await until('it runs again', () => began().length > ran);
});
