// Goal: Azurite ends with whoever started it, keeps its data, and says when it cannot start.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { buildSync } from 'esbuild';
import { builtProcesses, startAzurite } from '../../support/built';
import { until } from './support';

jest.setTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), 'millrace-storage-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('it does not outlive its parent, even one killed with -9, and what was written is kept', async () => {
  const dataDirectory = join(folder, 'kept');
  const parent = join(__dirname, `../../../dist/test-apps/storage-parent-${process.pid}.js`);
  buildSync({
    stdin: {
      contents: `import { startAzurite } from './local/storage';
startAzurite({ entry: process.argv[3], dataDirectory: process.argv[2] }).then((azurite) => console.log(JSON.stringify(azurite)));`,
      resolveDir: join(__dirname, '../../..'),
    },
    outfile: parent,
    ...{ bundle: true, platform: 'node', format: 'cjs' },
  });
  const child = spawn(process.execPath, [parent, dataDirectory, builtProcesses.storage], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { connectionString, pid } = JSON.parse(line.toString()) as {
    connectionString: string;
    pid: number;
  };
  const container = new ContainerClient(connectionString, 'things');
  await container.create();
  await container.getBlockBlobClient('one').upload('here', 4);
  expect(isAlive(pid)).toBe(true);
  child.kill('SIGKILL');
  await until('Azurite is gone', () => !isAlive(pid));
  rmSync(parent);
  const again = await startAzurite({ dataDirectory });
  const blob = new ContainerClient(again.connectionString, 'things').getBlobClient('one');
  expect((await blob.downloadToBuffer()).toString()).toBe('here');
  await again.close();
  expect(isAlive(again.pid)).toBe(false);
});

test('it sends no telemetry', async () => {
  const azurite = await startAzurite();
  const command = readFileSync(`/proc/${azurite.pid}/cmdline`, 'utf8').split('\0');
  expect(command).toContain('--disableTelemetry');
  await azurite.close();
});

test('a port that is taken is told, and nothing stays behind', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(startAzurite({ ports: { blob: port } })).rejects.toThrow(
    `Azurite's blob port ${port} on 127.0.0.1 is taken by another program`,
  );
  other.close();
});
