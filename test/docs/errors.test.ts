// Goal: docs/ERRORS.md and the error table agree, both ways.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorTable } from '../../shared/model/errors';

const page = readFileSync(join(__dirname, '../../docs/ERRORS.md'), 'utf8');
const rows = page.matchAll(/^\| `(STREAM_\w+)` +\| (\w+) +\|/gm);
const documented = new Map(Array.from(rows, ([, code, disposition]) => [code, disposition]));

describe('docs/ERRORS.md', () => {
  it('documents every error code with its disposition, and no other', () => {
    expect(Object.fromEntries(documented)).toEqual(errorTable);
  });
});
