// Goal: routes match what ASP.NET's matching gives, and say what they do not know.
import { parseRoute } from '../../../local/functions-host/route-template';

const match = (template: string, path: string): unknown =>
  parseRoute('f', ['api', template]).match(`/api/${path}`);

test.each<[string, string, unknown]>([
  ['a/{id:regex(^\\d{{3}}$)}', 'a/123', { id: '123' }],
  ['a/{id:regex(^\\d{{3}}$)}', 'a/12', null],
  ['a/{id:regex(^(on|off)$)}', 'a/off', { id: 'off' }],
  ['a/{id:regex(^(on|off)$)}', 'a/of', null],
  ['a/{id:regex(^(x)?y$):length(1)}/b', 'a/y/b', { id: 'y' }],
  ['a/{id:regex(^(x)?y$):length(1)}/b', 'a/xy/b', null],
  ['a/{id:regex(^[a-z]+/?$)?}', 'a', {}],
  ['v{major}.{minor}', 'v1.2.3', { major: '1.2', minor: '3' }],
  ['{name}.{ending?}', 'notes.tar.gz', { name: 'notes.tar', ending: 'gz' }],
  ['{name}.{ending?}', 'notes', { name: 'notes' }],
  ['n/{n:int}', 'n/2147483647', { n: '2147483647' }],
  ['n/{n:int}', 'n/2147483648', null],
  ['n/{n:int}', 'n/-2147483648', { n: '-2147483648' }],
  ['items/{id:int?}', 'items/', {}],
  ['items/{id:int?}', 'items/x', null],
  ['files/{*rest}', 'files/a/b%20c', { rest: 'a/b c' }],
])('%s with /api/%s', (template, path, expected) => {
  expect(match(template, path)).toEqual(expected);
});

test('a constraint that is none names function and route', () => {
  expect(() => match('a/{id:nothing}', 'a/1')).toThrow(
    "f: the route 'api/a/{id:nothing}' has the constraint 'nothing', which this host does not know",
  );
});
