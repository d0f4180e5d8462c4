// Goal: what functions return is written as the extensions write it, and a failing output fails the invocation.
import { earliestEventPosition, EventHubConsumerClient } from '@azure/event-hubs';
import { ContainerClient } from '@azure/storage-blob';
import { send, startPlace, startRun, until, type Place, type Run } from './support';

jest.setTimeout(60_000);

let place: Place;
let run: Run;
const received: string[] = [];
let consumer: EventHubConsumerClient;

beforeAll(async () => {
  place = await startPlace({ in: 1, out: 2 });
  run = await startRun(place, 'outputs', { settings: { IN: 'in', OUT: 'out' } });
  consumer = new EventHubConsumerClient('readers', place.emulator.connectionString, 'out');
  consumer.subscribe(
    {
      processEvents: async (events) =>
        void received.push(...events.map(({ body }) => (body as Buffer).toString())),
      processError: async () => undefined,
    },
    { startPosition: earliestEventPosition, maxBatchSize: 100, skipParsingBodyAsJson: true },
  );
});
afterAll(async () => {
  await consumer.close();
  await run.close();
  await place.close();
});

const post = (path: string, body: string): Promise<Response> =>
  fetch(`${run.host.httpUrl}/api/${path}`, { method: 'POST', body });

test.each<[string, string, string, string[]]>([
  [
    'a list of objects: one event each, indented',
    'json',
    '[{"a":1},{"b":[2]}]',
    ['{\n  "a": 1\n}', '{\n  "b": [\n    2\n  ]\n}'],
  ],
  ['an object: one event', 'json', '{"a":1}', ['{\n  "a": 1\n}']],
  ['texts and flags in a list: raw', 'json', '["t",true,3]', ['t', 'True', '3']],
  ['a text: raw', 'text', 'plain', ['plain']],
  ['a text that is a JSON list: split too', 'text', '["x","y"]', ['x', 'y']],
  ['bytes: as they are', 'bytes', '["x","y"]', ['["x","y"]']],
])('event hub output, %s', async (_what, kind, body, expected) => {
  received.length = 0;
  expect((await post(`toHub?kind=${kind}`, body)).status).toBe(200);
  await until('all arrived', () => received.length >= expected.length);
  expect([...received].sort()).toEqual([...expected].sort());
});

test('an event over the limit fails the invocation, which is retried', async () => {
  received.length = 0;
  await send(place, 'in', '0', ['huge']);
  await until(
    'both attempts failed',
    () =>
      run.lines.filter((line) =>
        /\(Failed.*\n.*over the limit of \d+ bytes of the hub out/.test(line),
      ).length >= 2,
  );
  await send(place, 'in', '0', ['small', 'other']);
  await until('copies arrived', () => received.length >= 2);
  expect([...received].sort()).toEqual(['copy of other', 'copy of small']);
});

test('blob output: the path is filled, the content is as it was given', async () => {
  expect((await post('toBlob/first?kind=text', 'content')).status).toBe(200);
  expect((await post('toNamed/report?kind=json', '{"a":1}')).status).toBe(200);
  const container = new ContainerClient(place.azurite.connectionString, 'results');
  const names: string[] = [];
  for await (const { name } of container.listBlobsFlat()) names.push(name);
  expect(names.sort()).toEqual([
    expect.stringMatching(/^first\/[\da-f-]{36}\.txt$/),
    'named/report.json',
  ]);
  const read = async (name: string): Promise<string> =>
    (await container.getBlobClient(name).downloadToBuffer()).toString();
  expect(await read(names[0] ?? '')).toBe('content');
  expect(await read('named/report.json')).toBe('{"a":1}');
});

test('an output that this host has not: a warning at start, a failed invocation, nothing in silence', async () => {
  expect(run.lines.join('\n')).toMatch(
    /warn: Host\.Startup: toQueue: this host has no output binding of type queue/,
  );
  expect((await post('toQueue', 'job')).status).toBe(500);
});
