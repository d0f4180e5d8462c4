// Goal: the time zone of the machine changes no result: the same bytes under the same names.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

let folder = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-zone-'));
  await build({
    entryPoints: [join(__dirname, '../../support/time-zone-main.ts')],
    outfile: join(folder, 'main.cjs'),
    ...{ bundle: true, platform: 'node', target: 'node20', format: 'cjs', logLevel: 'warning' },
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function runIn(zone: string): { readonly zone: number; readonly result: unknown[] } {
  const output = execFileSync(process.execPath, [join(folder, 'main.cjs')], {
    env: { ...process.env, TZ: zone },
    timeout: 60_000,
  });
  return JSON.parse(output.toString()) as { zone: number; result: unknown[] };
}

test('tables and windows are the same in Tokyo, St. John’s and Kiritimati as in UTC', () => {
  const expected = runIn('UTC');
  expect(expected.zone).toBe(0);
  expect(expected.result).toHaveLength(17);
  for (const [zone, offset] of [
    ['Asia/Tokyo', -540],
    ['America/St_Johns', 210],
    ['Pacific/Kiritimati', 640],
  ] as const) {
    const found = runIn(zone);
    expect(found.zone).toBe(offset);
    expect(found.result).toEqual(expected.result);
  }
});
