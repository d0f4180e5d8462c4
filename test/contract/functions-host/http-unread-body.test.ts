// Goal: an answer that is given before the request's body was read arrives, and the connection serves on.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawConnection } from '../../support/raw-http';
import { pause, startRun, type Run } from './support';

jest.setTimeout(120_000);

const place = { folder: mkdtempSync(join(tmpdir(), 'millrace-unread-')) };
afterAll(() => rmSync(place.folder, { recursive: true }));

const app = (isStreaming: boolean): string => `const { app } = require('@azure/functions');
app.setup({ enableHttpStream: ${isStreaming} });
const anonymous = { authLevel: 'anonymous', methods: ['GET', 'POST'] };
app.http('early', { ...anonymous, handler: () => ({ status: 202, body: 'early' }) });
app.http('throws', { ...anonymous, handler: () => { throw new Error('too early'); } });
app.http('nothing', { ...anonymous, handler: () => undefined });
app.http('reads', { ...anonymous, handler: async (request) => ({ body: String((await request.text()).length) }) });
app.http('guarded', { authLevel: 'function', methods: ['GET', 'POST'], handler: () => ({ body: 'in' }) });`;

const piece = Buffer.alloc(250_000, 'x');
const pieces = 8;
const open: RawConnection[] = [];
afterEach(() => open.splice(0).forEach((connection) => connection.close()));

describe.each([
  ['plain', false],
  ['streaming', true],
])('%s', (_name, isStreaming) => {
  let run: Run;
  beforeAll(async () => {
    run = await startRun(place, 'http', {
      files: { 'app.js': app(isStreaming) },
      enableAuth: true,
      keys: { host: { _master: 'master' }, functions: {}, system: {} },
      settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '3000000' },
    });
  });
  afterAll(() => run.close());

  async function connection(): Promise<RawConnection> {
    const made = await RawConnection.open(run.host.httpUrl);
    open.push(made);
    return made;
  }

  async function expectUsable(made: RawConnection): Promise<void> {
    made.sendHead('GET /api/early HTTP/1.1', 'Host: localhost');
    expect(await made.answer()).toMatchObject({ status: 202, body: 'early' });
  }

  const early: readonly (readonly [string, number])[] = [
    ['/api/missing', 404],
    ['/elsewhere', 404],
    ['/api/guarded', 401],
    ['/admin/host/status', 401],
    ['/admin/functions', 401],
    ['/runtime/webhooks/durabletask/instances/x', 401],
    ...(isStreaming
      ? ([
          ['/api/early', 202],
          ['/api/throws', 500],
          ['/api/nothing', 204],
        ] as const)
      : []),
  ];

  test.each(early)(
    'POST %s: %i comes before the body, and the connection stays',
    async (path, status) => {
      for (const framing of [
        `Content-Length: ${piece.length * pieces}`,
        'Transfer-Encoding: chunked',
      ]) {
        const made = await connection();
        const isChunked = framing.startsWith('Transfer');
        const send = (): void => {
          if (isChunked) made.send(`${piece.length.toString(16)}\r\n`);
          made.send(piece);
          if (isChunked) made.send('\r\n');
        };
        made.sendHead(`POST ${path} HTTP/1.1`, 'Host: localhost', framing);
        send();
        expect((await made.answer()).status).toBe(status);
        for (let sent = 1; sent < pieces; sent += 1) {
          send();
          await pause(20);
        }
        if (isChunked) made.send('0\r\n\r\n');
        await expectUsable(made);
        expect(made.state).toBe('open');
      }
    },
  );

  test('who waits to be asked for the body is asked only when somebody reads it', async () => {
    const made = await connection();
    const head = (path: string): readonly string[] => [
      ...[`POST ${path} HTTP/1.1`, 'Host: localhost'],
      ...['Expect: 100-continue', 'Content-Length: 5'],
    ];
    made.sendHead(...head('/api/reads'));
    expect((await made.answer()).status).toBe(100);
    made.send('12345');
    expect(await made.answer()).toMatchObject({ status: 200, body: '5' });
    made.sendHead(...head('/api/guarded'));
    expect((await made.answer()).status).toBe(401);
    made.send('12345');
    await expectUsable(made);
  });

  test('a body over the limit is 413 while it is still sent, and the connection ends in order', async () => {
    const made = await connection();
    made.sendHead('POST /api/reads HTTP/1.1', 'Host: localhost', 'Content-Length: 3000001');
    made.send(piece);
    const { headers, status } = await made.answer();
    expect([status, headers['connection']]).toEqual([413, 'close']);
    for (let sent = 1; sent < pieces; sent += 1) made.send(piece);
    expect(await made.over()).toBe('ended');
  });

  test('a body without declared length over the limit is 413', async () => {
    const made = await connection();
    made.sendHead('POST /api/reads HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked');
    for (let sent = 0; sent < 16; sent += 1) {
      made.send(`${piece.length.toString(16)}\r\n`);
      made.send(piece);
      made.send('\r\n');
    }
    expect((await made.answer()).status).toBe(413);
    expect(await made.over()).toBe('ended');
  });

  test('a caller that wants the connection closed gets its answer first', async () => {
    const made = await connection();
    made.sendHead(
      ...['POST /api/missing HTTP/1.1', 'Host: localhost', 'Connection: close'],
      `Content-Length: ${piece.length * pieces}`,
    );
    for (let sent = 0; sent < pieces; sent += 1) made.send(piece);
    expect((await made.answer()).status).toBe(404);
    expect(await made.over()).toBe('ended');
  });

  test('two requests sent at once are answered in their order', async () => {
    const made = await connection();
    made.send(
      'POST /api/missing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc' +
        'POST /api/reads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd',
    );
    expect((await made.answer()).status).toBe(404);
    expect(await made.answer()).toMatchObject({ status: 200, body: '4' });
  });
});
