// What a build was made of: the sources by their content, in `build.json` beside what it made. A clone,
// a checkout or a copy changes times of files and not what is in them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

export const stateFile = 'build.json';
/** They, too, decide what a build makes. */
const recipes = ['package-lock.json', 'tools/build.mjs', 'tools/build-state.mjs'];

const hashOf = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

const idDigits = 16;
const timeLength = new Date(0).toISOString().length;
/** Stands for a build's identity until that is known. */
export const buildPlaceholder = `${'?'.repeat(timeLength)} ${'#'.repeat(idDigits)}`;

/** Hashes of what a build was made of, by path; `inputs`: what esbuild read, from the root. */
export function sourcesOf(root, inputs) {
  const own = inputs.filter((path) => !/^(.*\/)?node_modules\/|^[(<]/.test(path));
  const paths = [...new Set([...own, ...recipes])].sort();
  return Object.fromEntries(
    paths
      .filter((path) => existsSync(join(root, path)))
      .map((path) => [
        relative(root, resolve(root, path)).split(sep).join('/'),
        hashOf(join(root, path)),
      ]),
  );
}

/**
 * Who a build is, as `<time> <id>`: the id is of the content of its sources, the time that of the first build
 * of them in this folder. By the time a newer build is told from an older one, when both run at once.
 */
export function identityText(sources, folder, now) {
  const id = createHash('sha256').update(JSON.stringify(sources)).digest('hex').slice(0, idDigits);
  const before = readState(folder)?.build;
  const isSame = typeof before === 'string' && before.endsWith(` ${id}`);
  return isSame ? before : `${now.toISOString()} ${id}`;
}

/** The text of build.json. */
export function stateText(sources, identity) {
  return `${JSON.stringify({ build: identity, sources }, null, 1)}\n`;
}

/** Null: there is no build. */
function readState(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, stateFile), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || error.code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * The sources that are not as the build in a folder had them: empty when it is up to date, null when
 * there is no build.
 */
export function changedSince(folder, root) {
  const state = readState(folder);
  if (state === null) return null;
  return Object.entries(state.sources ?? {})
    .filter(([path, hash]) => {
      const file = join(root, path);
      return !existsSync(file) || hashOf(file) !== hash;
    })
    .map(([path]) => path);
}
