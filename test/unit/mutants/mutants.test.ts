// Goal: every known bug can still be planted: its text is in the code, once.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mutants from '../../mutants/mutants.json';

const root = join(__dirname, '..', '..', '..');

describe('the list of mutants', () => {
  it('names each once', () => {
    const names = mutants.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(mutants)('$name fits the code', ({ file, find, replace }) => {
    const source = readFileSync(join(root, file), 'utf8');
    expect(source.split(find.join('\n'))).toHaveLength(2);
    expect(replace).not.toEqual(find);
    expect(file).toMatch(/^shared\//);
  });
});
