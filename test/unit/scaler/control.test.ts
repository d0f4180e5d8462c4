// Goal: only the owner of the data folder commands the scaler, and is told what is wrong.
// Method: the real loopback server and client, the scaler on a host in memory.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askScaler, startScaleControl, type ScaleControl } from '../../../local/scaler/control';
import { Scaler } from '../../../local/scaler/scaler';
import { platformPace } from '../../../local/scaler/target';
import { parseWorkerRange } from '../../../local/scaler/worker-range';

describe('control of the scaler', () => {
  const workers: { id: number }[] = [];
  let dataDirectory: string;
  let control: ScaleControl;

  const file = () => join(dataDirectory, 'control.json');
  const address = () => JSON.parse(readFileSync(file(), 'utf8')) as { port: number; token: string };

  beforeEach(async () => {
    workers.splice(0, workers.length, { id: 1 });
    dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-control-'));
    // As a stack that crashed leaves it: readable for all, and nobody behind it.
    writeFileSync(file(), '{"port":1,"token":"old"}', { mode: 0o644 });
    const scaler = new Scaler({
      host: {
        workers,
        addWorker: async () => workers.push({ id: workers.length + 1 }),
        removeWorker: async () => void workers.pop(),
      },
      positions: { read: async () => [], close: async () => undefined },
      triggers: () => [],
      threshold: 1,
      mode: 'manual',
      range: { min: 1, max: 2 },
      pace: platformPace,
      log: () => undefined,
    });
    control = await startScaleControl({ scaler, dataDirectory });
  });

  afterEach(async () => {
    await control.close();
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  it('takes the last worker away by hand, and votes or a number bring one back', async () => {
    expect(await askScaler(dataDirectory, { to: '0' })).toMatchObject({
      ...{ mode: 'manual', workers: 0, wanted: 0 },
    });
    expect(workers).toEqual([]);
    expect(await askScaler(dataDirectory, { to: '1' })).toMatchObject({ workers: 1 });
    await askScaler(dataDirectory, { to: '0' });
    expect(await askScaler(dataDirectory, { to: 'auto' })).toMatchObject({ workers: 1 });
  });

  it('shows, sets and returns to votes', async () => {
    expect(await askScaler(dataDirectory, null)).toMatchObject({ mode: 'manual', workers: 1 });
    expect(await askScaler(dataDirectory, { to: '4' })).toMatchObject({
      mode: 'manual',
      workers: 4,
    });
    expect(await askScaler(dataDirectory, { to: 'auto' })).toMatchObject({
      mode: 'automatic',
      workers: 2,
    });
    expect(await askScaler(dataDirectory, { to: '1..8' })).toMatchObject({
      mode: 'automatic',
      range: { min: 1, max: 8 },
    });
  });

  it('keeps its token to the owner of the folder, and asks for it', async () => {
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    const { port, token } = address();
    const url = `http://127.0.0.1:${port}/scale`;
    expect((await fetch(url)).status).toBe(401);
    const wrong = `Bearer ${token.replace(/./g, '0')}`;
    expect((await fetch(url, { headers: { authorization: wrong } })).status).toBe(401);
    const put = { method: 'PUT', body: '{"to":"9"}' };
    expect((await fetch(url, put)).status).toBe(401);
    expect(workers).toHaveLength(1);
  });

  it.each([
    ['{"to":"0..2"}', 400],
    ['{"to":"4..1"}', 400],
    ['{"to":4}', 400],
    ['workers=4', 400],
    [`{"to":"${'9'.repeat(5_000)}"}`, 413],
  ])('refuses %.20s with %d', async (body, status) => {
    const { port, token } = address();
    const response = await fetch(`http://127.0.0.1:${port}/scale`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body,
    });
    expect(response.status).toBe(status);
    expect(workers).toHaveLength(1);
  });

  it('says how to mend a wrong count', async () => {
    await expect(askScaler(dataDirectory, { to: 'many' })).rejects.toThrow(/give MIN..MAX/);
  });

  it('names an address file that is damaged, and how to mend it', async () => {
    writeFileSync(file(), '{"port":');
    const asked = askScaler(dataDirectory, null);
    await expect(asked).rejects.toThrow(/control\.json cannot be read \(.*\): end the stack/);
  });

  it('says that nothing runs, whether the address is gone or nobody answers', async () => {
    const left = readFileSync(file());
    await control.close();
    await expect(askScaler(dataDirectory, null)).rejects.toThrow(/no stack runs on .*npm start/);
    writeFileSync(file(), left);
    await expect(askScaler(dataDirectory, null)).rejects.toThrow(/has ended.*npm start/);
  });
});

describe('parseWorkerRange', () => {
  it.each([
    ['1..4', { min: 1, max: 4 }],
    ['3', { min: 3, max: 3 }],
    [' 2..2 ', { min: 2, max: 2 }],
  ])('%s', (text, range) => {
    expect(parseWorkerRange(text)).toEqual(range);
  });

  it.each(['0..4', '4..1', '1..65', '1...4', '-1', 'auto', '', '1.5'])('refuses "%s"', (text) => {
    expect(() => parseWorkerRange(text)).toThrow(/is not a range of workers/);
  });
});
