// Goal: which functions of an app run is decided as the platform decides it.
import type { RegisteredFunction } from '../../../local/functions-host/app-loader';
import { checkBindings, connectionOf } from '../../../local/functions-host/bindings';
import { chooseFunctions } from '../../../local/functions-host/function-choice';

const of = (name: string, trigger: Record<string, unknown> = {}): RegisteredFunction => ({
  name,
  bindings: { in: { type: 'httpTrigger', direction: 'in', ...trigger } },
  callback: () => undefined,
});
const namesOf = (functions: readonly RegisteredFunction[]): string[] =>
  functions.map(({ name }) => name);

test.each(['a b', '9lives', 'ü', 'A.b', 'x'.repeat(129), 'host', 'HOST', 'a/b', '', '-a', 'a\n'])(
  'the name %j is refused, and the others run',
  (name) => {
    const { functions, refused } = chooseFunctions([of(name), of('fine')], null, {});
    expect(namesOf(functions)).toEqual(['fine']);
    expect(refused).toEqual([expect.stringContaining('is not a valid function name')]);
  },
);

test.each(['ok-name_9', 'x'.repeat(128), 'hosts', 'A'])('the name %s is fine', (name) => {
  expect(chooseFunctions([of(name)], null, {}).refused).toEqual([]);
});

test.each<[string, RegisteredFunction[], string[]]>([
  ['names that differ in case alone', [of('Foo'), of('foo')], ['Foo']],
  ['one route', [of('a', { route: 'x' }), of('b', { route: '/X/' })], ['a']],
  ['a route that is another name', [of('a'), of('b', { route: 'a' })], ['a']],
  [
    'one route with other methods',
    [of('a', { route: 'x', methods: ['GET'] }), of('b', { route: 'x', methods: ['POST'] })],
    ['a', 'b'],
  ],
  [
    'one route, all methods',
    [of('a', { route: 'x', methods: [] }), of('b', { route: 'x', methods: ['POST'] })],
    ['a'],
  ],
  [
    'routes of the host',
    [of('a', { route: 'admin/x' }), of('b', { route: 'runtime' }), of('c')],
    ['c'],
  ],
  ['a name that begins like the host', [of('adminPage')], []],
])('routes that conflict: %s', (_name, functions, expected) => {
  const choice = chooseFunctions(functions, null, {});
  expect(namesOf(choice.functions)).toEqual(expected);
  expect(choice.refused).toHaveLength(functions.length - expected.length);
});

test.each<[Record<string, string>, string[]]>([
  [{ 'AzureWebJobs.page.Disabled': 'true' }, ['page']],
  [{ 'AzureWebJobs.page.Disabled': '1' }, ['page']],
  [{ 'AzureWebJobs.page.Disabled': 'True' }, ['page']],
  [{ 'azurewebjobs.PAGE.disabled': 'TRUE' }, ['page']],
  [{ AzureWebJobs_page_Disabled: 'true' }, ['page']],
  [{ 'AzureWebJobs.page.Disabled': 'false' }, []],
  [{ 'AzureWebJobs.page.Disabled': '0' }, []],
  [{ 'AzureWebJobs.page.Disabled': '' }, []],
  [{ 'AzureWebJobs.other.Disabled': 'true' }, []],
])('a setting disables a function: %j', (settings, expected) => {
  const { disabled, functions } = chooseFunctions([of('page')], null, settings);
  expect(Array.from(disabled)).toEqual(expected);
  expect(namesOf(functions)).toEqual(['page']);
});

test("host.json's functions are the only ones, by name in any case", () => {
  const all = [of('page'), of('other'), of('a b')];
  const { functions, refused } = chooseFunctions(all, ['OTHER'], {});
  expect(namesOf(functions)).toEqual(['other']);
  expect(refused).toEqual([]);
  expect(chooseFunctions(all, [], {}).functions).toEqual([]);
});

test('two functions whose names differ in case alone are warned of', () => {
  const timer = { type: 'timerTrigger', schedule: '00:05' };
  const app = { functions: [of('Tick', timer), of('tick', timer)] };
  const { faults, warnings } = checkBindings(app as never, {}, 'api');
  expect(faults).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining('tick: its name differs from that of Tick')]);
});

test.each<[Record<string, string>, string]>([
  [{ hubs: 'a' }, 'a'],
  [{ 'ConnectionStrings:Hubs': 'a', Hubs: 'b' }, 'a'],
  [{ ConnectionStrings__Hubs: 'a' }, 'a'],
  [{ CUSTOMCONNSTR_Hubs: 'a' }, 'a'],
  [{ AzureWebJobsHubs: 'a', Hubs: 'b' }, 'a'],
  [{ Hubs: 'b', AzureWebJobsHubs: '' }, 'b'],
])('a connection is found where .NET finds it: %j', (settings, expected) => {
  expect(connectionOf(of('f'), { connection: 'Hubs' }, settings)).toBe(expected);
});
