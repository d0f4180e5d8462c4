// Makes dist/package: what runs in Azure and nothing else. The bundle has its packages inside, so
// there is no node_modules, no install and no remote build (docs/adr/0001).
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const target = 'dist/package';

const built = spawnSync(process.execPath, ['tools/build.mjs'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);

rmSync(target, { recursive: true, force: true });
mkdirSync(`${target}/dist/functions`, { recursive: true });
cpSync('host.json', `${target}/host.json`);
cpSync('LICENSE', `${target}/LICENSE`);
for (const file of ['app.js', 'app.js.map']) {
  cpSync(`dist/functions/${file}`, `${target}/dist/functions/${file}`);
}
const { engines, license, main, name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
const manifest = { name, version, license, private: true, main, engines };
writeFileSync(`${target}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
// Nothing to leave out; without this file azd would build in Azure, where there is nothing to build.
writeFileSync(`${target}/.funcignore`, 'local.settings.json\n.funcignore\n');
console.log(`${target}: ${name} ${version}`);
