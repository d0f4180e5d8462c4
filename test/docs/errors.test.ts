// Goal: docs/ERRORS.md and the error table agree, both ways.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { corruptLog } from '../../shared/commit-log/corruption';
import { errorTable } from '../../shared/model/errors';

const page = readFileSync(join(__dirname, '../../docs/ERRORS.md'), 'utf8');
const rows = page.matchAll(/^\| `(STREAM_\w+)` +\| (\w+) +\|/gm);
const documented = new Map(Array.from(rows, ([, code, disposition]) => [code, disposition]));

describe('docs/ERRORS.md', () => {
  it('documents every error code with its disposition, and no other', () => {
    expect(Object.fromEntries(documented)).toEqual(errorTable);
  });

  it('sends nobody to versions of blobs, which the template does not keep, nor to a reset of one task', () => {
    const { message } = corruptLog({ blob: 'commits/a/b', position: 7 }, 'no record');
    for (const text of [message, page]) {
      expect(text).not.toMatch(/versions?\b.*soft delete|reset the task/);
      expect(text).toContain('millrace reset');
    }
  });
});
