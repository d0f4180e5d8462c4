// Goal: orchestrations written for Azure run here, through the unmodified durable-functions package.
// Method: the fixture app on the real host with two workers and Azurite; the management API and the
// package's own client ask for everything once.
import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { DurableHost } from '../../support/durable-host';

jest.setTimeout(120_000);

let durable: DurableHost;

beforeAll(async () => {
  durable = await DurableHost.start();
});
afterAll(async () => {
  await durable.close();
});

describe('activities', () => {
  it('run one after the other, their results in order', async () => {
    const { output } = await durable.api.run('chain');
    expect(output).toEqual(['Hello Tokyo', 'Hello Seattle']);
  });

  it('get and give every kind of value unchanged', async () => {
    const { output } = await durable.api.run('inputs', { own: ['x', 1] });
    expect(output).toEqual({
      own: { own: ['x', 1] },
      results: [1, 1.5, 'text', '{"a":1}', true, null, [1, 2], { a: { b: 'c' } }, null],
    });
  });

  it('fan out over the workers and come back together', async () => {
    const { output } = await durable.api.run('fanOut', { count: 120, milliseconds: 20 });
    expect(output).toBe((119 * 120) / 2);
    const pids = new Set(durable.calls.map(({ pid }) => pid));
    expect(pids).toEqual(new Set(durable.host.workers.map(({ pid }) => pid)));
  });

  it('fail with the text and the form that the host gives', async () => {
    const caught = await durable.api.run('catches');
    expect(caught.output).toMatch(
      /^Activity function 'fail' failed: {2}caught \n \{"\$type":"System\.Exception/,
    );
    const failed = await durable.api.run('fails');
    expect(failed.runtimeStatus).toBe('Failed');
    expect(failed.output).toMatch(
      /^Orchestrator function 'fails' failed: Activity function 'fail' failed: {2}on purpose/,
    );
  });

  it('are retried, and the tasks after a retry keep their numbers', async () => {
    const ends = await durable.api.run('retries', {
      key: 'mends',
      failures: 1,
      maxNumberOfAttempts: 5,
    });
    expect(ends.output).toEqual(['mends', 'after']);
    const fails = await durable.api.run('retries', {
      key: 'never mends',
      failures: 99,
      maxNumberOfAttempts: 3,
    });
    expect(fails.output).toEqual([
      expect.stringMatching(/^Activity function 'flaky' failed: {2}attempt \d$/),
      'after the failure',
    ]);
    expect(durable.calls.filter(({ call }) => call === 'flaky never mends')).toHaveLength(3);
  });

  it('that do not exist fail the instance and say which exist', async () => {
    const { runtimeStatus, output } = await durable.api.run('missingActivity');
    expect(runtimeStatus).toBe('Failed');
    expect(output).toMatch(/'noSuchActivity' doesn't exist.*known activity functions: 'hello'/);
  });
});

describe('sub-orchestrations', () => {
  it('answer their parent, with a given id and with the default one', async () => {
    const id = await durable.api.start('parent', undefined, 'family');
    const { output } = await durable.api.until(id);
    expect(output).toEqual(['Hello one', 'Hello two', 'Hello three', 'Hello four']);
    expect((await durable.api.status('family-named')).output).toBe('Hello one');
  });

  it('tell their parent how they failed, after their retries', async () => {
    const { output } = await durable.api.run('parentOfFailure');
    expect(output).toEqual([
      expect.stringContaining("Orchestrator function 'fails' failed: Activity function 'fail'"),
      'went on',
    ]);
  });

  it('that do not exist fail the instance', async () => {
    const { output } = await durable.api.run('missingChild');
    expect(output).toContain("'noSuchOrchestrator' doesn't exist");
  });
});

describe('timers', () => {
  it('fire at their time, never before', async () => {
    const { output } = await durable.api.run('timers');
    expect(output).toBeGreaterThanOrEqual(100);
  });

  it('of a month are made of shorter ones and can be cancelled', async () => {
    const id = await durable.api.start('longTimer');
    await durable.api.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    await durable.api.raise(id, 'enough', 'early');
    const { output } = await durable.api.until(id);
    expect(output).toBe('early');
    const { historyEvents = [] } = await durable.api.status(id, 'showHistory=true');
    const [timer] = historyEvents.filter(({ EventType }) => EventType === 'TimerCreated');
    const days = (Date.parse(String(timer?.['FireAt'])) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(3);
  });

  it('race events: the one that comes first wins', async () => {
    const approved = await durable.api.start('approval');
    await durable.api.raise(approved, 'approve', { by: 'me' });
    expect((await durable.api.until(approved)).output).toEqual({ by: 'me' });
    expect((await durable.api.run('approval', 50)).output).toBe('expired');
  });
});

describe('external events', () => {
  it('are kept in order until somebody waits, and the custom status tells of them', async () => {
    const id = await durable.api.start('threeEvents');
    for (const number of [1, 2]) await durable.api.raise(id, 'number', number);
    const waiting = await durable.api.until(
      id,
      ({ customStatus }) => (customStatus as { seen: number } | null)?.seen === 2,
    );
    expect(waiting.runtimeStatus).toBe('Running');
    await durable.api.raise(id, 'number', 3);
    expect((await durable.api.until(id)).output).toEqual([1, 2, 3]);
  });
});

describe('continueAsNew', () => {
  it('goes on with a new history', async () => {
    const id = await durable.api.start('counting', { count: 0, until: 4 });
    expect((await durable.api.until(id)).output).toBe(4);
    const { historyEvents = [] } = await durable.api.status(id, 'showHistory=true');
    expect(historyEvents.filter(({ EventType }) => EventType === 'TaskCompleted')).toHaveLength(1);
  });

  it('loses no event, however fast they come', async () => {
    const id = await durable.api.start('eternal', { sum: 0, seen: 0 });
    const numbers = Array.from({ length: 40 }, (_unused, index) => index + 1);
    for (const number of numbers) {
      await durable.api.raise(id, 'add', number);
      await durable.api.until(
        id,
        ({ input }) => (input as { seen: number } | null)?.seen === number,
      );
    }
    await durable.api.raise(id, 'add', 'stop');
    expect((await durable.api.until(id)).output).toEqual({ sum: 820, seen: 40 });
  });
});

describe('determinism', () => {
  it('is checked: code that changed under a running instance fails it clearly', async () => {
    const change = join(durable.directory, 'changed');
    const id = await durable.api.start('changing', change);
    await durable.api.until(id, ({ customStatus }) => customStatus === 'waiting');
    writeFileSync(change, '');
    await durable.api.raise(id, 'go', null);
    const { runtimeStatus, output } = await durable.api.until(id);
    expect(runtimeStatus).toBe('Failed');
    expect(output).toMatch(
      /Non-Deterministic workflow detected.*TaskScheduled 'hello' under the id 0.*TaskScheduled 'echo'/,
    );
  });
});

describe('large payloads', () => {
  it('leave the tables for blobs and come back whole', async () => {
    const { output, runtimeStatus } = await durable.api.run('largePayloads', 'ä'.repeat(200_000));
    expect(runtimeStatus).toBe('Completed');
    expect(output).toEqual({ input: 200_000, result: 100_000, back: 200_000 });
  });

  it('are kept once for the history and once for the status, however often that changes', async () => {
    const id = await durable.api.start('threeEvents', 'x'.repeat(100_000));
    for (let seen = 1; seen <= 3; seen += 1) {
      await durable.api.raise(id, 'number', seen);
      await durable.api.until(id, ({ customStatus }) => {
        return (customStatus as { seen: number } | null)?.seen === seen;
      });
    }
    await durable.api.until(id);
    const container = new ContainerClient(
      durable.azurite.connectionString,
      'testhub-largemessages',
    );
    const blobs: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix: `${id}/` })) blobs.push(name);
    expect(blobs.length).toBe(2);
  });
});

describe('callHttp', () => {
  let server: Server;
  let url: string;
  let polls = 0;

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/accepted') {
        response.writeHead(202, { location: '/poll', 'retry-after': '0' }).end();
      } else if (request.url === '/nowhere') {
        response.writeHead(202, { location: 'http://[' }).end();
      } else if (request.url === '/moved') {
        response.writeHead(302, { location: '/echo' }).end();
      } else if (request.url === '/poll') {
        polls += 1;
        if (polls < 3) response.writeHead(202, { location: '/poll', 'retry-after': '0' }).end();
        else response.end(`polled by ${request.method}`);
      } else {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => response.end(`${request.method} ${body}`));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('gives status and content', async () => {
    const { output } = await durable.api.run('http', { url: `${url}/echo` });
    expect(output).toEqual({ status: 200, content: 'POST {"a":1}', after: 'after' });
  });

  it('fails the instance when a 202 says no place that can be asked', async () => {
    const { output, runtimeStatus } = await durable.api.run('http', { url: `${url}/nowhere` });
    expect(runtimeStatus).toBe('Failed');
    expect(output).toContain("answered 202 with the Location 'http://[', which is no URL");
  });

  it('follows a redirect', async () => {
    const { output } = await durable.api.run('get', `${url}/moved`);
    expect(output).toMatchObject({ statusCode: 200, content: 'GET ' });
  });

  it('polls where a 202 says, unless it is told not to', async () => {
    const polled = await durable.api.run('http', { url: `${url}/accepted` });
    expect(polled.output).toEqual({ status: 200, content: 'polled by GET', after: 'after' });
    const once = await durable.api.run('http', { url: `${url}/accepted`, enablePolling: false });
    expect(once.output).toEqual({ status: 202, content: '', after: 'after' });
  });
});

describe('an activity that throws what is no error', () => {
  it.each([
    [{ code: 5 }, '{"code":5}'],
    ['text', 'text'],
    [7, '7'],
    [[1], '[1]'],
  ])('fails with it as a text: %j', async (what, text) => {
    const { output } = await durable.api.run('catchesOther', what);
    expect(output).toBe(`Activity function 'throwsOther' failed:  ${text}`);
  });
});

describe('a custom status', () => {
  it.each([
    [8_000, 'Completed'],
    [8_190, 'Completed'],
    [8_191, 'Failed'],
    [40_000, 'Failed'],
  ])('of %i characters: the orchestration is %s', async (length, wanted) => {
    const { customStatus, output, runtimeStatus } = await durable.api.run('longStatus', length);
    expect(runtimeStatus).toBe(wanted);
    const isKept = wanted === 'Completed';
    expect(customStatus).toBe(isKept ? 's'.repeat(length) : null);
    expect(output).toEqual(
      isKept ? 'over' : expect.stringContaining('payload must not exceed 16 KB'),
    );
  });
});

describe('an event', () => {
  it('may hold any JSON and have any name', async () => {
    const id = await durable.api.start('eternalEcho');
    const values = [0, '', false, null, [], {}, 'ä\ud83d\ude00', '{"a":1}', 'x'.repeat(100_000)];
    const names = ['one', 'A name', 'ünï', "o'brien", '100%', '__proto__', 'constructor'];
    for (const name of names) {
      await durable.api.raise(id, encodeURIComponent('name'), name);
      await durable.api.raise(id, encodeURIComponent(name), values);
    }
    await durable.api.raise(id, 'name', 'end');
    expect((await durable.api.until(id)).output).toEqual(names.map((name) => [name, values]));
  });
});

describe('rewind', () => {
  it('runs failed activities again, keeps the rest, and reaches into sub-orchestrations', async () => {
    const file = join(durable.directory, 'there');
    const id = await durable.api.start('rewindableParent', file);
    expect((await durable.api.until(id)).runtimeStatus).toBe('Failed');
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, '');
    const response = await durable.api.request('POST', `instances/${id}/rewind?reason=mended`);
    expect(response.status).toBe(202);
    const { output } = await durable.api.until(
      id,
      ({ runtimeStatus }) => runtimeStatus === 'Completed',
    );
    expect(output).toEqual(['Hello once', 'there', 'Hello after']);
    expect(durable.calls.filter(({ call }) => call === 'whenThere')).toHaveLength(2);
  });
});
