// Goal: no page points at something that is not there. Addresses on the web are not followed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const repository = join(__dirname, '../..');
const notOurs = new Set(['node_modules', 'dist', 'coverage']);

function pagesIn(folder: string): string[] {
  return readdirSync(join(repository, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = join(folder, entry.name);
    if (entry.isFile()) return name.endsWith('.md') ? [name] : [];
    const isOurs = entry.isDirectory() && !entry.name.startsWith('.') && !notOurs.has(entry.name);
    return isOurs ? pagesIn(name) : [];
  });
}

/** A page that GitHub makes of the repository, beside its files. */
const onGitHub = new Set(['../../releases']);
const pages = pagesIn('');

const text = (page: string): string =>
  readFileSync(page, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '');

/** As GitHub makes an anchor of a heading; and anchors that a page sets itself. */
function anchorsOf(page: string): Set<string> {
  const source = readFileSync(page, 'utf8');
  const headings = Array.from(source.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  const own = Array.from(source.matchAll(/<a id="([^"]+)">/g), ([, id = '']) => id);
  return new Set([...headings, ...own]);
}

test('there are pages', () => {
  expect(pages).toContain('README.md');
});

test.each(pages)('%s links to what is there', (name) => {
  const page = join(repository, name);
  const targets = Array.from(text(page).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
  const broken = targets.filter((target) => {
    if (/^[a-z]+:/i.test(target) || onGitHub.has(target)) return false;
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? page : resolve(dirname(page), decodeURIComponent(file));
    if (!existsSync(path)) return true;
    return anchor !== undefined && path.endsWith('.md') && !anchorsOf(path).has(anchor);
  });
  expect(broken).toEqual([]);
});
