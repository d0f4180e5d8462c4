// Goal: the emulator as a process: what was acknowledged outlives kill -9 and a full disk, a folder has
// one emulator, and what goes wrong at the start is said so that it can be mended.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { startEventHubsEmulator } from '../../../local/event-hubs';
import { until } from '../../support/amqp-bare-client';
import { closeClient, receive } from '../../support/event-hubs';

jest.setTimeout(120_000);

const entry = join(__dirname, '../../../dist/local/event-hubs/main.js');
const hub = 'kept';
const retryOptions = { maxRetries: 0, timeoutInMs: 10_000 };

interface Started {
  readonly child: ChildProcess;
  readonly connectionString: string;
  readonly controlPort: number;
}

let directory = '';
let config = '';
let children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-process-'));
  config = join(directory, 'Config.json');
  const Entities = [{ Name: hub, PartitionCount: 2 }];
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
});

afterEach(async () => {
  await Promise.all(children.map(kill));
  children = [];
  rmSync(directory, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Runs the emulator, perhaps from a shell that limits it, until it says that it has started. */
async function start(
  data: string,
  options: { readonly args?: readonly string[]; readonly shell?: string } = {},
): Promise<Started> {
  const own = ['--port', '0', '--control-port', '0', '--data', data, '--config', config, '--json'];
  const args = [entry, ...own, ...(options.args ?? [])];
  const { shell } = options;
  const child =
    shell === undefined
      ? spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      : spawn('bash', ['-c', `${shell}; exec "$@"`, 'bash', process.execPath, ...args], {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
  children.push(child);
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { ...(JSON.parse(chunk.toString()) as Started), child };
}

/** Runs it to its end. */
function run(args: readonly string[]): { status: number; stdout: string; stderr: string } {
  try {
    const stdout = execFileSync(process.execPath, [entry, ...args], { stdio: 'pipe' }).toString();
    return { status: 0, stdout, stderr: '' };
  } catch (error) {
    const { status, stderr, stdout } = error as { status: number; stderr: Buffer; stdout: Buffer };
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  }
}

interface Kept {
  readonly body: string;
  readonly sequenceNumber: number;
  readonly offset: string;
}

async function readAll(connectionString: string, count: number): Promise<Kept[]> {
  const consumer = new EventHubConsumerClient('$Default', connectionString, hub, { retryOptions });
  const events = await receive(consumer, {
    ...{ partition: '0', count, startPosition: { offset: '-1' } },
  });
  await closeClient(consumer);
  return events.map(({ body, offset, sequenceNumber }) => ({
    ...{ body: body as string, offset, sequenceNumber },
  }));
}

const data = (): string => join(directory, 'data');

test('kill -9 under load loses no acknowledged batch, and positions stay', async () => {
  const first = await start(data());
  const producer = new EventHubProducerClient(first.connectionString, hub, {
    // What is under way at the kill fails by then.
    retryOptions,
  });
  const acknowledged: string[] = [];
  const batch = (number: number): { body: string }[] =>
    ['a', 'b', 'c'].map((letter) => ({ body: `${number}${letter}${'.'.repeat(500)}` }));
  await producer.sendBatch(batch(0), { partitionId: '0' });
  acknowledged.push(...batch(0).map(({ body }) => body));
  const [early] = await readAll(first.connectionString, 1);
  let isSending = true;
  const sending = (async () => {
    for (let number = 1; isSending; number += 1) {
      await producer.sendBatch(batch(number), { partitionId: '0' });
      acknowledged.push(...batch(number).map(({ body }) => body));
    }
  })().catch((error: unknown) => error);
  let failure: unknown;
  void sending.then((error) => (failure = error));
  await until(() => acknowledged.length >= 300 || failure !== undefined);
  expect(failure).toBeUndefined();
  await kill(first.child);
  isSending = false;
  await Promise.all([sending, closeClient(producer).catch(() => undefined)]);

  const second = await start(data());
  const kept = await readAll(second.connectionString, acknowledged.length);
  expect(kept.slice(0, acknowledged.length).map(({ body }) => body)).toEqual(acknowledged);
  expect(kept.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...kept.keys()]);
  expect(kept[0]).toEqual(early);
  await kill(second.child);
  const third = await start(data());
  expect(await readAll(third.connectionString, kept.length)).toEqual(kept);
});

test('a client is let go although the emulator says nothing more', async () => {
  const { child, connectionString } = await start(data());
  const producer = new EventHubProducerClient(connectionString, hub, { retryOptions });
  await producer.sendBatch([{ body: 'x' }], { partitionId: '0' });
  child.kill('SIGSTOP');
  await closeClient(producer);
});

test('a full disk refuses sends, loses nothing that was acknowledged, and is left behind', async () => {
  // The limit is of one file's size; the signal that comes with it is ignored, as the error is enough.
  const shell = "trap '' XFSZ; ulimit -S -f 64";
  const { child, connectionString, controlPort } = await start(data(), { shell });
  const producer = new EventHubProducerClient(connectionString, hub, { retryOptions });
  const acknowledged: string[] = [];
  const sendOne = async (number: number): Promise<void> => {
    const body = `${number}${'.'.repeat(10_000)}`;
    await producer.sendBatch([{ body }], { partitionId: '0' });
    acknowledged.push(body);
  };
  let refusal: unknown;
  for (let number = 0; refusal === undefined; number += 1) {
    await sendOne(number).catch((error: unknown) => {
      refusal = error;
    });
  }
  expect(refusal).toMatchObject({ code: 'QuotaExceededError', retryable: false });
  expect((refusal as Error).message).toMatch(/The log cannot grow: EFBIG/);
  const health = await fetch(`http://127.0.0.1:${controlPort}/health`);
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({ status: 'unhealthy' });
  expect((await readAll(connectionString, acknowledged.length)).map(({ body }) => body)).toEqual(
    acknowledged,
  );

  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
  await sendOne(1_000);
  expect((await fetch(`http://127.0.0.1:${controlPort}/health`)).status).toBe(200);
  await kill(child);
  await closeClient(producer).catch(() => undefined);
  const again = await start(data());
  expect(
    (await readAll(again.connectionString, acknowledged.length)).map(({ body }) => body),
  ).toEqual(acknowledged);
});

test('a second emulator on the same folder is refused, in this process or another', async () => {
  const { child } = await start(data());
  const second = run(['--port', '0', '--control-port', '0', '--data', data()]);
  expect(second.status).toBe(1);
  expect(second.stderr).toContain(`is in use by another emulator (process ${child.pid})`);
  await expect(
    startEventHubsEmulator({ port: 0, controlPort: 0, dataDirectory: data() }),
  ).rejects.toThrow(/is in use by another emulator/);
  await kill(child);
  const own = await startEventHubsEmulator({ port: 0, controlPort: 0, dataDirectory: data() });
  await expect(
    startEventHubsEmulator({ port: 0, controlPort: 0, dataDirectory: data() }),
  ).rejects.toThrow(/is in use by another emulator/);
  await own.close();
  expect(readdirSync(data())).not.toContain('emulator.lock');
});

test('a lock that a power cut left empty holds nothing', async () => {
  mkdirSync(data());
  writeFileSync(join(data(), 'emulator.lock'), '');
  const own = await startEventHubsEmulator({ port: 0, controlPort: 0, dataDirectory: data() });
  await own.close();
  expect(readdirSync(data())).not.toContain('emulator.lock');
});

test('Ctrl-C ends it cleanly and leaves the folder free', async () => {
  const { child, connectionString } = await start(data());
  const producer = new EventHubProducerClient(connectionString, hub, { retryOptions });
  await producer.sendBatch([{ body: 'kept' }], { partitionId: '0' });
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
  await closeClient(producer).catch(() => undefined);
  expect(readdirSync(data())).not.toContain('emulator.lock');
  const again = await start(data());
  expect((await readAll(again.connectionString, 1)).map(({ body }) => body)).toEqual(['kept']);
});

describe('what goes wrong at the start', () => {
  const free = ['--port', '0', '--control-port', '0'];

  test.each(['--port', '--control-port'])('a taken port names %s', async (option) => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const taken = String((server.address() as AddressInfo).port);
    const result = run([...free, option, taken]);
    server.close();
    expect(result).toMatchObject({
      status: 1,
      stderr: `port ${taken} is taken by another program: choose another with ${option}\n`,
    });
  });

  test('a taken port leaves nothing open in the process that embeds it', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const open = (): string[] =>
      readdirSync('/proc/self/fd').filter((descriptor) => {
        try {
          return readFileSync(`/proc/self/fdinfo/${descriptor}`).length > 0;
        } catch {
          return false;
        }
      });
    const attempt = (): Promise<unknown> =>
      startEventHubsEmulator({
        ...{ port: 0, controlPort: port, dataDirectory: data() },
        config: JSON.parse(readFileSync(config, 'utf8')) as never,
      });
    await expect(attempt()).rejects.toThrow(/is taken/);
    const before = open().length;
    await expect(attempt()).rejects.toThrow(/is taken/);
    expect(open().length).toBeLessThanOrEqual(before);
    server.close();
    const emulator = await startEventHubsEmulator({
      ...{ port: 0, controlPort: 0, dataDirectory: data() },
    });
    await emulator.close();
  });

  test.each<[string, readonly string[], RegExp]>([
    [
      'a number that is none',
      ['--partitions', 'many', '--create-on-the-fly'],
      /--partitions: must be a whole number from 1 to 1024, not "many"/,
    ],
    ['a port out of range', ['--port', '70000'], /--port: must be a whole number from 0 to 65535/],
    ['an option that is not there', ['--prot', '1'], /Unknown option '--prot'/],
    [
      'a config file that is not there',
      ['--config', '/nowhere.json'],
      /--config \/nowhere.json: ENOENT/,
    ],
  ])('%s ends it with 2', (_name, args, words) => {
    const result = run([...free, ...args]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(words);
  });

  test('every fault of a config is told with its path', () => {
    const Entities = [
      { Name: 'a b', PartitionCount: '0' },
      {
        Name: 'ok',
        PartitionCount: '4',
        ConsumerGroups: [{ Name: '$Default' }, { Name: 'g' }, { Name: 'G' }],
      },
      { Name: 'OK', PartitionCount: true },
    ];
    writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
    const { status, stderr } = run([...free, '--config', config]);
    expect(status).toBe(2);
    const at = 'UserConfig.NamespaceConfig[0].Entities';
    for (const line of [
      `${at}[0].Name: must be`,
      `${at}[0].PartitionCount: must be a whole number from 1 to 1024`,
      `${at}[1].ConsumerGroups[0].Name: $default is always there: leave it out`,
      `${at}[1].ConsumerGroups[2].Name: two groups are called G`,
      `${at}[2].PartitionCount: must be`,
      `${at}[2].Name: two hubs are called ok`,
    ]) {
      expect(stderr).toContain(line);
    }
  });

  test.each<[string, () => void, RegExp]>([
    [
      'a file where the folder should be',
      () => writeFileSync(data(), 'x'),
      /the data folder .*data cannot be used \(.*\): choose another with --data/,
    ],
    [
      'a list of hubs cut short',
      () => {
        run([...free, '--data', data(), '--help']);
        execFileSync('mkdir', ['-p', data()]);
        writeFileSync(join(data(), 'hubs.json'), '{"format":');
      },
      /hubs.json cannot be read \(.*\): restore it, or delete the data folder/,
    ],
  ])('%s ends it with 1', (_name, spoil, words) => {
    spoil();
    const result = run([...free, '--data', data()]);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(words);
  });

  test('--help tells every option', () => {
    const { status, stdout } = run(['--help']);
    expect(status).toBe(0);
    for (const option of ['--port', '--data', '--config', '--cut-damage', '--json', '--host']) {
      expect(stdout).toContain(option);
    }
  });
});

test('millrace emulator takes its options as they are and says where it listens', async () => {
  const child = spawn(
    process.execPath,
    [
      join(__dirname, '../../../dist/cli/millrace.js'),
      ...['emulator', '--port', '0', '--control-port', '0', '--data', data()],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  expect(chunk.toString()).toMatch(
    /^Event Hubs emulator: AMQP on port \d+, health and faults on http:\/\/127\.0\.0\.1:\d+\nHubs and events: .*data\nConnect with: Endpoint=sb:\/\/localhost:\d+;SharedAccessKeyName=.*;UseDevelopmentEmulator=true;\nCtrl-C ends it\.\n$/,
  );
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('what it says of its control port is where it listens', async () => {
  const args = [entry, '--port', '0', '--control-port', '0', '--host', '127.0.0.2'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const [address] = /http:\/\/\S+/.exec(chunk.toString()) ?? [];
  const response = await fetch(`${address}/health`);
  expect(response.status).toBe(200);
});
