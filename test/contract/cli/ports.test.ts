// Goal: a taken port keeps nobody from starting, several stacks run side by side, and every command
// finds the stack of its folder.
// Method: the built command in processes of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choosePorts, readAddress, usualPorts } from '../../../cli/ports';
import { eventually } from '../../support/outcome';

jest.setTimeout(240_000);

const command = join(__dirname, '../../../dist/cli/millrace.js');

let folder: string;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-ports-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

async function takePort(port = 0): Promise<number> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('the ports of a stack', () => {
  const write = (ports: Record<string, number>): void =>
    writeFileSync(join(folder, 'stack.json'), JSON.stringify({ ports, hubs: 'h', storage: 's' }));

  it('are those of its last run, where they are free', async () => {
    const taken = await takePort();
    const free = await takePort();
    await new Promise((done) => servers.pop()?.close(done));
    write({ amqp: taken, http: free });
    const ports = await choosePorts({ asked: {}, dataDirectory: folder });
    expect(ports.http).toBe(free);
    expect(ports.amqp).not.toBe(taken);
  });

  it('are as asked, and one that is taken is refused by its option', async () => {
    const taken = await takePort();
    const ports = await choosePorts({ asked: { blob: 0, amqp: 0 }, dataDirectory: folder });
    expect(ports).toMatchObject({ blob: 0, amqp: 0 });
    const choosing = choosePorts({ asked: { control: taken }, dataDirectory: folder });
    await expect(choosing).rejects.toThrow(
      `--control-port ${taken} is taken by another program: choose another (0: any free one)`,
    );
  });

  it('are never given to two parts', async () => {
    write({ amqp: usualPorts.http });
    const ports = await choosePorts({ asked: {}, dataDirectory: folder });
    const chosen = Object.values(ports).filter((port) => port !== 0);
    expect(new Set(chosen).size).toBe(chosen.length);
  });

  it.each(['', '{}', '[]', '{"hubs":"h","storage":"s","ports":{"amqp":70000}}', 'null'])(
    'kept as %j are refused with what to do',
    (text) => {
      writeFileSync(join(folder, 'stack.json'), text);
      expect(() => readAddress(folder)).toThrow(/does not say where a stack listens: delete it/);
    },
  );
});

describe('two stacks side by side', () => {
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  });

  function millrace(...options: string[]): { child: ChildProcess; said: () => string } {
    const child = spawn(process.execPath, [command, ...options], { stdio: 'pipe' });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    }
    return { child, said: () => text };
  }

  async function start(data: string, ...more: string[]): Promise<ReturnType<typeof millrace>> {
    const run = millrace('start', '--data', data, '--workers', '1', '--events', '50', ...more);
    await eventually(
      () => Promise.resolve(run.said()),
      (said) => said.includes('Send your own events') || run.child.exitCode !== null,
      90_000,
    );
    return run;
  }

  async function readOf(data: string): Promise<number> {
    const run = millrace('ledger', 'flights', '--json', '--data', data);
    const [code] = (await once(run.child, 'close')) as [number];
    const { stages } = JSON.parse(run.said()) as {
      stages: { stage: string; read: number }[];
    };
    return code === 0 ? (stages.find(({ stage }) => stage === 'flights')?.read ?? 0) : -1;
  }

  it('begin although every usual port is taken, and each is found by its folder', async () => {
    for (const port of Object.values(usualPorts)) {
      await takePort(port).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE') throw error;
      });
    }
    const [first, second] = [join(folder, 'first'), join(folder, 'second')];
    const runs = [await start(first), await start(second, '--http-port', '0')];
    const ports = [first, second].flatMap((data) =>
      Object.values(
        (JSON.parse(readFileSync(join(data, 'stack.json'), 'utf8')) as { ports: object }).ports,
      ),
    );
    expect(new Set(ports).size).toBe(12);
    for (const data of [first, second]) {
      await eventually(
        () => readOf(data),
        (read) => read === 50,
        60_000,
      );
    }
    for (const { child } of runs) {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
    }
  });
});
