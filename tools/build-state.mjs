// What a build was made of: the sources by their content, in `build.json` beside what it made. A clone,
// a checkout or a copy changes times of files and not what is in them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

export const stateFile = 'build.json';
/** They, too, decide what a build makes. */
const recipes = ['package-lock.json', 'tools/build.mjs', 'tools/build-state.mjs'];

const hashOf = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** The text of build.json; `inputs`: what esbuild read, from the root. */
export function stateText(root, inputs) {
  const own = inputs.filter((path) => !/^(.*\/)?node_modules\/|^[(<]/.test(path));
  const paths = [...new Set([...own, ...recipes])].sort();
  const sources = Object.fromEntries(
    paths
      .filter((path) => existsSync(join(root, path)))
      .map((path) => [
        relative(root, resolve(root, path)).split(sep).join('/'),
        hashOf(join(root, path)),
      ]),
  );
  return `${JSON.stringify({ sources }, null, 1)}\n`;
}

/**
 * The sources that are not as the build in a folder had them: empty when it is up to date, null when
 * there is no build.
 */
export function changedSince(folder, root) {
  let state;
  try {
    state = JSON.parse(readFileSync(join(folder, stateFile), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || error.code === 'ENOENT') return null;
    throw error;
  }
  return Object.entries(state.sources ?? {})
    .filter(([path, hash]) => {
      const file = join(root, path);
      return !existsSync(file) || hashOf(file) !== hash;
    })
    .map(([path]) => path);
}
