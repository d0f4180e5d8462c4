// Goal: every known bug can still be planted: its text is in the code, once.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..', '..');

interface Mutant {
  readonly name: string;
  readonly bug: string;
  readonly file: string;
  readonly find: readonly string[];
  readonly replace: readonly string[];
  /** Patterns of test files that must catch it; absent: the suites of the engine. */
  readonly tests?: readonly string[];
}

const mutants = filesIn('test/mutants')
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) => JSON.parse(readFileSync(join(root, file), 'utf8')) as Mutant[]);
const testFiles = filesIn('test').filter((file) => file.endsWith('.test.ts'));

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
    join(folder, file),
  );
}

describe('the list of mutants', () => {
  it('names each once', () => {
    const names = mutants.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(mutants)('$name fits the code', ({ file, find, replace, tests }) => {
    const source = readFileSync(join(root, file), 'utf8');
    expect(source.split(find.join('\n'))).toHaveLength(2);
    expect(replace).not.toEqual(find);
    // Others than the engine's are in no simulation: they name what catches them.
    if (!file.startsWith('shared/')) expect(tests).toBeDefined();
    for (const pattern of tests ?? []) {
      expect([pattern, testFiles.some((test) => new RegExp(pattern).test(test))]).toEqual([
        pattern,
        true,
      ]);
    }
  });
});
