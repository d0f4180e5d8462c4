// Goal: what is wrong with a topology is said by the compiler: in one readable line, at the call that is wrong.
import { join } from 'node:path';
import ts from 'typescript';

const root = join(__dirname, '../../..');
const fileName = join(root, 'test/unit/dataflow/fixture-that-is-not-there.ts');

const head = `import { Type } from 'typebox';
import { count, hours, sum, Timestamp, topology, tumbling, type Update, type TypedOperator } from '../../../shared/dataflow';
const reading = Type.Object({ sensor: Type.String(), time: Timestamp(), celsius: Type.Number(), tags: Type.Array(Type.String()) });
const named = Type.Object({ sensor: Type.String(), warmth: Type.Number() });
declare const early: TypedOperator<unknown, Update<{ sensor: string }>>;
export const topic = topology('typed', (t) => {
  const readings = t.source('readings', { schema: reading, eventTime: (e) => e.time });
  const keyed = readings.keyBy((e) => e.sensor, { name: 'sensor' });
  const pairs = readings.keyBy((e) => [e.sensor, e.celsius > 0], { name: 'pair' });
  const updates = keyed.applyUpdates(early, { name: 'early' });
  void [count, hours, sum, tumbling, named, keyed, pairs, updates];
`;
const firstRow = head.split('\n').length;

/** What tsc says of each snippet, which stands at the end of one topology; one program for all. */
function diagnosticsOf(snippets: readonly string[]): readonly string[][] {
  const names = snippets.map((_, index) => fileName.replace('there', `there-${index}`));
  const texts = new Map(names.map((name, index) => [name, `${head}${snippets[index]}\n});\n`]));
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (name) =>
    ts.sys.readFile(name),
  ) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const real = ts.createCompilerHost(options);
  host.fileExists = (name) => texts.has(name) || real.fileExists(name);
  host.readFile = (name) => texts.get(name) ?? real.readFile(name);
  host.getSourceFile = (name, target) => {
    const text = texts.get(name);
    return text === undefined
      ? real.getSourceFile(name, target)
      : ts.createSourceFile(name, text, target, true);
  };
  const program = ts.createProgram(names, { ...options, noEmit: true, incremental: false }, host);
  return names.map((name) =>
    program.getSemanticDiagnostics(program.getSourceFile(name)).map((diagnostic) => {
      const { character, line } = ts.getLineAndCharacterOfPosition(
        diagnostic.file as ts.SourceFile,
        diagnostic.start ?? 0,
      );
      const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n');
      return `${line + 2 - firstRow}:${character + 1} ${text}`;
    }),
  );
}

/** A snippet, the row at which it is wrong, and what is said of it; null: it is right. */
const cases: readonly (readonly [string, number, RegExp] | readonly [string, null])[] = [
  // Identity.
  ['readings.keyBy((e) => e.sensor);', 1, /Expected 2 arguments, but got 1\./],
  ['keyed.window(tumbling(hours(1)));', 1, /Expected 2 arguments, but got 1\./],
  [
    'readings\n  .filter(() => true)\n  .keyBy((e) => e.sensor, {});',
    3,
    /Property 'name' is missing in type '\{\}' but required in type 'KeyByOptions'\./,
  ],
  [
    'keyed.window(tumbling(hours(1)), { grace: 1 });',
    1,
    /Property 'name' is missing in type '\{ grace: number; \}' but required in type 'WindowOptions'\./,
  ],
  // Rows.
  [
    "readings\n  .map((e) => ({ sensor: e.sensor }))\n  .toLake('named', { schema: named });",
    3,
    /^3:11 Argument of type '"named"' is not assignable to parameter of type '"the rows have no column warmth, which the schema of the table asks for"'\.$/,
  ],
  [
    "readings\n  .map((e) => ({ sensor: e.sensor, warmth: String(e.celsius) }))\n  .toLake('named', { schema: named });",
    3,
    /^3:11 Argument of type '"named"' is not assignable to parameter of type '"column warmth of the rows has another type than in the schema of the table"'\.$/,
  ],
  [
    "readings\n  .map((e) => ({ sensor: e.sensor, warmth: 1 }))\n  .toLake('hot', { schema: named, partitionBy: ['country'] });",
    3,
    /^3:\d+ Type '"country"' is not assignable to type [^\n]*$/,
  ],
  [
    "readings.map((e) => ({ sensor: e.sensor, warmth: e.celsius })).toLake('named', { schema: named });",
    null,
  ],
  // Keys.
  [
    'readings.keyBy((e) => ({ of: e.sensor }), { name: "object" });',
    1,
    /^1:\d+ Type '\{ readonly of: string; \}' is not assignable to type 'Key'\.|is not assignable to type/,
  ],
  ['readings.keyBy((e) => e.celsius, { name: "number" }).filter((e) => e.celsius > 1);', null],
  [
    'pairs.window(tumbling(1), { name: "ww" }).aggregate({ n: count() }).map((w) => { const [sensor, isWarm] = w.key; const s: string = sensor; const b: boolean = isWarm; return { s, b }; });',
    null,
  ],
  [
    'pairs.window(tumbling(1), { name: "ww" }).aggregate({ n: count() }).map((w) => w.key.length === 3);',
    1,
    /the types '2' and '3' have no overlap/,
  ],
  // Values from sources.
  [
    'readings.map((e) => {\n  e.celsius = 3;\n  return e;\n});',
    2,
    /^2:5 Cannot assign to 'celsius' because it is a read-only property\.$/,
  ],
  [
    "readings.map((e) => e.tags.push('x'));",
    1,
    /^1:28 Property 'push' does not exist on type 'readonly string\[\]'\.$/,
  ],
  // Updates.
  [
    "updates.window(tumbling(1), { name: 'ww' });",
    1,
    /^1:9 Property 'window' does not exist on type 'Updates<string, \{ sensor: string; \}>'\.$/,
  ],
  [
    "updates.toLake('rows', { schema: named });",
    1,
    /^1:9 Property 'toLake' does not exist on type 'Updates</,
  ],
  ['keyed.union(updates);', 1, /is not assignable to parameter of type|No overload matches/],
  [
    "updates.join(keyed, { name: 'jj', within: 1 }, (l: unknown, r: unknown) => [l, r]);",
    1,
    /^1:9 Property 'join' does not exist on type 'Updates</,
  ],
  [
    "keyed.join(updates, { name: 'jj', within: 1 }, (l: unknown, r: unknown) => [l, r]);",
    1,
    /^1:12 Argument of type 'Updates<[^\n]*' is not assignable to parameter of type 'KeyedStream</,
  ],
  // Joins.
  [
    "keyed.join(pairs, { name: 'jj', within: 1 }, (l: unknown, r: unknown) => [l, r]);",
    1,
    /^1:12 Argument of type 'KeyedStream<[^\n]*' is not assignable to parameter of type 'KeyedStream<string,/,
  ],
  [
    "keyed.join(keyed, { name: 'jj' }, (l: unknown, r: unknown) => [l, r]);",
    1,
    /^1:\d+ Argument of type '\{ name: string; \}' is not assignable[^]*Property 'within' is missing/,
  ],
  [
    "keyed.join(keyed, { name: 'jj', within: 1 }, (l, r) => l.celsius + r.kelvin);",
    1,
    /^1:\d+ Property 'kelvin' does not exist on type/,
  ],
  [
    "readings.dedupe({ name: 'dd', within: 1 });",
    1,
    /^1:10 Property 'dedupe' does not exist on type 'Stream</,
  ],
  ["updates.finals().window(tumbling(1), { name: 'ww' }).aggregate({ n: count() });", null],
  // Late values, unions.
  [
    "keyed.window(tumbling(1), { name: 'ww', late: 'adjust' });",
    1,
    /^1:\d+ Type '"adjust"' is not assignable to type 'LatePolicy'\.$/,
  ],
  ['keyed.union(keyed).window(tumbling(1), { name: "ww" });', null],
  [
    'keyed.union(readings).window(tumbling(1), { name: "ww" });',
    1,
    /^1:23 Property 'window' does not exist on type 'Stream</,
  ],
];

it('every case is told in its place, and what is right is not told', () => {
  const told = diagnosticsOf(cases.map(([snippet]) => snippet));
  cases.forEach(([snippet, row, pattern], index) => {
    const found = told[index] ?? [];
    if (row === null) expect({ snippet, found }).toEqual({ snippet, found: [] });
    else {
      expect({ snippet, count: found.length }).toEqual({ snippet, count: 1 });
      expect(found[0]).toMatch(new RegExp(`^${row}:`));
      expect(found[0]).toMatch(pattern);
    }
  });
}, 120_000);
