// Goal: where the Bicep CLI is at hand, or the .NET SDK to bring it, the sources compile to the template that is checked in, and
// the strict linter (infra/bicepconfig.json) has nothing to say. Elsewhere the lock vouches for it.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join, resolve } from 'node:path';
import { read, readJson, repository, runJson } from './support/template';

const tool = pathToFileURL(resolve(repository, 'tools/infra.mjs')).href;
const { path: bicep } = runJson<{ path: string | null }>(process.execPath, [
  '--input-type=module',
  '--eval',
  `import { fetchBicep, findBicep } from ${JSON.stringify(tool)};
  const fetched = () => { try { return fetchBicep(); } catch (error) { console.error(error.message); return null; } };
  console.log(JSON.stringify({ path: findBicep() ?? fetched() }));`,
]);
const whereBicepIs = bicep === null ? it.skip : it;

function run(...args: readonly string[]): {
  status: number | null;
  stdout: string;
  stderr: string;
} {
  return spawnSync(bicep ?? 'bicep', args, {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
}

describe('the Bicep sources', () => {
  whereBicepIs(
    'compile to azuredeploy.json without a warning',
    () => {
      const { status, stderr, stdout } = run('build', 'infra/resources.bicep', '--stdout');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(JSON.parse(stdout)).toEqual(readJson('infra/azuredeploy.json'));
    },
    120_000,
  );

  whereBicepIs.each(['infra/main.bicep', 'infra/container/container-app.bicep'])(
    'pass the strict linter: %s',
    (path) => {
      const { status, stderr } = run('lint', path);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    },
    120_000,
  );

  whereBicepIs(
    'are formatted as the CLI formats them',
    () => {
      const folders = ['infra', 'infra/modules', 'infra/container'];
      const files = folders.flatMap((folder) =>
        readdirSync(join(repository, folder))
          .filter((name) => name.endsWith('.bicep'))
          .map((name) => `${folder}/${name}`),
      );
      for (const path of files) {
        const { stdout } = run('format', path, '--stdout');
        expect([path, stdout.trimEnd()]).toEqual([path, read(path).trimEnd()]);
      }
    },
    240_000,
  );
});
