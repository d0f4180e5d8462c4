// Goal: one port serves AMQP, AMQP over WebSockets and both over TLS; whoever speaks something else is told
// so, in the log too; pages of a browser are not let in.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { create_container } from 'rhea';
import { WebSocket, type ClientOptions } from 'ws';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import { certificateIn } from '../../../local/event-hubs/port/certificate';
import { BareClient, dataMessage, outcomeOf, until } from '../../support/amqp-bare-client';

jest.setTimeout(60_000);

const mebibyte = 1024 * 1024;
const lines: string[] = [];
let directory = '';
let emulator: EventHubsEmulator;
let authority = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-port-'));
  emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: true, tls: true, dataDirectory: directory },
    log: (line) => lines.push(line),
  });
  authority = readFileSync(emulator.certificateAuthorityFile ?? '', 'utf8');
});

beforeEach(() => {
  lines.length = 0;
});

afterAll(async () => {
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What comes back for these bytes, until the other side ends. */
async function answerTo(bytes: Buffer | string, port = emulator.port): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return buffer(socket);
}

const uri = (scheme: 'ws' | 'wss', path = '/$servicebus/websocket'): string =>
  `${scheme}://localhost:${emulator.port}${path}`;

/** A client whose AMQP goes over a WebSocket; the first message that comes is AMQP's header. */
async function openOverWebSocket(
  address: string,
  options: {
    readonly protocols?: string[];
    readonly client?: ClientOptions;
    readonly onMessage?: (message: Buffer) => void;
  } = {},
): Promise<BareClient> {
  const { client = {}, onMessage, protocols = ['AMQPWSB10'] } = options;
  const wrap = create_container().websocket_connect(
    class extends WebSocket {
      constructor(url: string, wanted: string[]) {
        super(url, wanted, { ca: authority, ...client });
        this.on('message', (data: ArrayBuffer) => onMessage?.(Buffer.from(data)));
      }
    } as never,
  ) as unknown as (url: string, protocols: string[]) => () => { connect: unknown };
  const details = wrap(address, protocols) as unknown as Record<string, unknown>;
  return BareClient.open(emulator.port, { connection_details: details });
}

async function sendAndReceive(client: BareClient, hub: string, bytes: number): Promise<void> {
  const sender = await client.sender(`${hub}/Partitions/0`);
  const body = Buffer.alloc(bytes, 'x');
  expect(await outcomeOf(sender, () => sender.send(dataMessage(body), undefined, 0))).toBe(
    'accepted',
  );
  const { messages } = await client.receiver(`${hub}/ConsumerGroups/$default/Partitions/0`);
  await until(() => messages.length === 1);
  expect(messages[0]?.body.equals(body)).toBe(true);
  await client.close();
}

describe('AMQP goes', () => {
  const largest = mebibyte - 100;

  test('over TLS', async () => {
    const client = await BareClient.open(emulator.port, {
      ...{ transport: 'tls', ca: authority, servername: 'localhost' },
    });
    await sendAndReceive(client, 'over-tls', largest);
  });

  test.each([
    ['ws', '/$servicebus/websocket', ['AMQPWSB10']],
    ['ws', '/$servicebus/websocket/', ['amqp']],
    ['wss', '/$servicebus/websocket', ['AMQPWSB10', 'amqp']],
    ['wss', '/$servicebus/websocket/', ['amqp']],
    ['wss', '/%24ServiceBus/websocket?x=1', ['other', 'AMQPWSB10']],
  ] as const)('over %s at %s with the subprotocols %p', async (scheme, path, protocols) => {
    const client = await openOverWebSocket(uri(scheme, path), { protocols: [...protocols] });
    await sendAndReceive(client, `over-${scheme}-${protocols.join('-')}-${path.length}`, largest);
  });

  test('over a WebSocket whose client offers compression', async () => {
    const client = await openOverWebSocket(uri('ws'), { client: { perMessageDeflate: true } });
    await sendAndReceive(client, 'over-deflate', 100_000);
  });

  test('over a WebSocket in messages of one frame each, for clients without room for more', async () => {
    const messages: Buffer[] = [];
    const client = await openOverWebSocket(uri('ws'), {
      onMessage: (message) => messages.push(message),
    });
    const sender = await client.sender('over-frames/Partitions/0');
    for (let count = 0; count < 20; count += 1) {
      await outcomeOf(sender, () => sender.send(dataMessage(Buffer.alloc(100)), undefined, 0));
    }
    const { messages: events } = await client.receiver(
      'over-frames/ConsumerGroups/$default/Partitions/0',
    );
    await until(() => events.length === 20);
    await client.close();
    const frames = messages.filter((message) => message.toString('latin1', 0, 4) !== 'AMQP');
    expect(frames.length).toBeGreaterThan(40);
    expect(frames.map((frame) => frame.readUInt32BE(0))).toEqual(
      frames.map((frame) => frame.length),
    );
  });
});

async function websocket(
  address: string,
  protocols: string[],
  options: ClientOptions = {},
): Promise<WebSocket> {
  const socket = new WebSocket(address, protocols, { ca: authority, ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

test('a request line in absolute form is answered with the subprotocol that was offered', async () => {
  const key = Buffer.alloc(16).toString('base64');
  const socket = connect(emulator.port, '127.0.0.1');
  socket.write(
    [
      `GET wss://localhost:${emulator.port}/$servicebus/websocket HTTP/1.1`,
      ...[`Host: localhost:${emulator.port}`, 'Connection: Upgrade', 'Upgrade: websocket'],
      ...['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`],
      ...['Sec-WebSocket-Protocol: AMQPWSB10', '', ''],
    ].join('\r\n'),
  );
  const answer = await firstBytes(socket);
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 [^]*Sec-WebSocket-Protocol: AMQPWSB10\r\n/);
  socket.destroy();
});

async function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject);
  });
}

describe('a WebSocket is refused', () => {
  const port = (): number => emulator.port;
  test.each<[string, () => Promise<unknown>, RegExp, RegExp]>([
    ['elsewhere', () => websocket(uri('ws', '/amqp'), ['amqp']), /404/, /nothing is at \/amqp/],
    ['for another protocol', () => websocket(uri('ws'), ['mqtt']), /400/, /must offer AMQPWSB10/],
    ['for no protocol', () => websocket(uri('ws'), []), /400/, /must offer AMQPWSB10 or amqp/],
    [
      'to a page elsewhere',
      () => websocket(uri('ws'), ['amqp'], { origin: 'https://page.example' }),
      /403/,
      /Origin https:\/\/page\.example/,
    ],
    [
      'to a page on another port of this machine',
      () => websocket(uri('ws'), ['amqp'], { origin: `http://localhost:${port() + 1}` }),
      /403/,
      /is not the address called/,
    ],
    [
      'to a page without an origin',
      () => websocket(uri('wss'), ['amqp'], { origin: 'null' }),
      /403/,
      /Origin null/,
    ],
    [
      'to a page whose name was made to lead here',
      () =>
        websocket(uri('ws'), ['amqp'], {
          origin: `http://page.example:${port()}`,
          headers: { host: `page.example:${port()}` },
        }),
      /403/,
      /Host page\.example:\d+ is no name of this machine/,
    ],
  ])('%s', async (_where, open, status, logged) => {
    await expect(open()).rejects.toThrow(status);
    expect(lines.join('\n')).toMatch(logged);
  });

  test('when its messages are text', async () => {
    const socket = await websocket(uri('ws'), ['amqp']);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.send('AMQP');
    expect(await closed).toBe(1003);
  });

  test('when a message is larger than any client makes one', async () => {
    const socket = await websocket(uri('ws'), ['amqp']);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.send(Buffer.alloc(5 * mebibyte));
    expect([1006, 1009]).toContain(await closed);
  });
});

test('a program that calls itself by the address that it calls is let in, as Python does', async () => {
  const socket = await websocket(uri('ws'), ['AMQPWSB10'], {
    origin: `http://localhost:${emulator.port}`,
  });
  expect(socket.protocol).toBe('AMQPWSB10');
  socket.terminate();
});

describe('what is no AMQP is answered and named in the log', () => {
  test('HTTP', async () => {
    const answer = await answerTo('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 426 [^]*AMQP 1\.0[^]*control port/);
    expect(lines.join('\n')).toMatch(/GET \/health: This port speaks AMQP 1\.0/);
  });

  test('HTTP that cannot be read, and headers without end', async () => {
    expect((await answerTo('GET\r\n\r\n')).toString()).toMatch(/^HTTP\/1\.1 400 /);
    const long = await answerTo(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(long.toString()).toMatch(/^HTTP\/1\.1 431 /);
    expect(lines.join('\n')).toMatch(/400: no HTTP request that can be read/);
  });

  test('Kafka', async () => {
    const answer = await answerTo(Buffer.from('0000002000120003', 'hex'));
    expect(answer.toString('latin1')).toBe('AMQP\u0003\u0001\u0000\u0000');
    expect(lines.join('\n')).toMatch(/begins with the bytes 0000002000120003.*Kafka clients/);
  });

  test('TLS where there is none', async () => {
    const plainLines: string[] = [];
    const plain = await startEventHubsEmulator({
      ...{ port: 0, controlPort: 0, log: (line) => plainLines.push(line) },
    });
    const socket = connectTls({ port: plain.port, host: '127.0.0.1', rejectUnauthorized: false });
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect(error.message).toMatch(/alert handshake failure/);
    expect(plainLines.join('\n')).toMatch(/speaks TLS.*--tls, or add UseDevelopmentEmulator=true/);
    expect([plain.tlsConnectionString, plain.certificateAuthorityFile]).toEqual([null, null]);
    await plain.close();
  });

  test('a client that does not trust the certificate', async () => {
    const socket = connectTls({ port: emulator.port, host: 'localhost' });
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect((error as NodeJS.ErrnoException).code).toBe('SELF_SIGNED_CERT_IN_CHAIN');
    await until(() => lines.length > 0);
    expect(lines.join('\n')).toMatch(/TLS: .*does not trust the certificate/);
  });

  test('nothing at all, and a connection that is reset', async () => {
    connect(emulator.port, '127.0.0.1').end();
    const socket = connect(emulator.port, '127.0.0.1', () => socket.resetAndDestroy());
    await new Promise((resolve) => socket.once('close', resolve));
    const client = await BareClient.open(emulator.port);
    await client.close();
  });
});

describe('the certificate', () => {
  test('is kept with the data, its key for nobody else, and made anew for another host or year', async () => {
    const file = join(directory, 'tls/certificate.pem');
    const first = readFileSync(file, 'utf8');
    expect(statSync(join(directory, 'tls/key.pem')).mode & 0o777).toBe(0o600);
    const nearItsEndMs = Date.now() + 366 * 24 * 60 * 60 * 1_000;
    const kept = await certificateIn(join(directory, 'tls'), '127.0.0.1', nearItsEndMs);
    expect(kept.cert).toBe(first);
    const other = join(directory, 'other');
    const tooOldAtMs = Date.now() - 370 * 24 * 60 * 60 * 1_000;
    const made = await certificateIn(other, 'build.example', tooOldAtMs);
    const again = await certificateIn(other, 'build.example', Date.now());
    expect(again.cert).not.toBe(made.cert);
    const elsewhere = await certificateIn(other, 'test.example', Date.now());
    expect(elsewhere.cert).not.toBe(again.cert);
    writeFileSync(join(other, 'certificate.pem'), 'cut');
    expect((await certificateIn(other, '127.0.0.1', Date.now())).cert).toMatch(/BEGIN CERT/);
  });

  test('may be given, and is checked against its key', async () => {
    const certificateFile = join(directory, 'tls/certificate.pem');
    const keyFile = join(directory, 'tls/key.pem');
    const options = { port: 0, controlPort: 0 };
    const given = await startEventHubsEmulator({ ...options, tls: { certificateFile, keyFile } });
    const socket = connectTls({ port: given.port, host: 'localhost', ca: authority });
    await new Promise((resolve, reject) =>
      socket.once('secureConnect', resolve).once('error', reject),
    );
    socket.destroy();
    await given.close();
    const foreign = join(directory, 'other/key.pem');
    await expect(
      startEventHubsEmulator({ ...options, tls: { certificateFile, keyFile: foreign } }),
    ).rejects.toThrow(/key\.pem is not the key of the certificate/);
    await expect(
      startEventHubsEmulator({ ...options, tls: { certificateFile: keyFile, keyFile } }),
    ).rejects.toThrow(/must hold a certificate and its key in PEM form/);
  });
});

test('the JavaScript SDK works over TLS and over wss with the strings that are printed', async () => {
  const script = `
    const { EventHubProducerClient } = require('@azure/event-hubs');
    const { WebSocket } = require('ws');
    const retryOptions = { maxRetries: 0, timeoutInMs: 10000 };
    (async () => {
      for (const connectionString of ${JSON.stringify([emulator.connectionString, emulator.tlsConnectionString])}) {
        for (const options of [{ retryOptions }, { retryOptions, webSocketOptions: { webSocket: WebSocket } }]) {
          const producer = new EventHubProducerClient(connectionString, 'sdk', options);
          await producer.sendBatch([{ body: 'x' }], { partitionId: '0' });
          console.log((await producer.getPartitionProperties('0')).lastEnqueuedSequenceNumber);
          await producer.close();
        }
      }
    })().catch((error) => { console.error(error); process.exit(1); });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
    cwd: join(__dirname, '../../..'),
    timeout: 50_000,
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: emulator.certificateAuthorityFile ?? '',
    },
  });
  expect(stdout.split('\n')).toEqual(['0', '1', '2', '3', '']);
});

describe('the control port', () => {
  const get = async (
    options: { readonly host?: string; readonly address?: string } = {},
    port = emulator.controlPort,
  ): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { address = '127.0.0.1', host = 'localhost' } = options;
      request({ host: address, port, path: '/hubs', headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });

  test('answers under names of this machine alone', async () => {
    expect(await get()).toBe(200);
    expect(await get({ host: `127.0.0.1:${emulator.controlPort}` })).toBe(200);
    expect(await get({ host: 'page.example' })).toBe(403);
  });

  test('answers programs of this machine where it listens on an address of the network', async () => {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
    // A machine without a network has none: its own other loopback address will do.
    const address = outside ?? '127.0.0.2';
    const open = await startEventHubsEmulator({ port: 0, controlPort: 0, host: address });
    expect(await get({ address, host: `${address}:${open.controlPort}` }, open.controlPort)).toBe(
      200,
    );
    await open.close();
  });
});
