import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Files that match a pattern of braces, `*` and `**`, as package.json "main" may hold. */
export function expandPattern(directory: string, pattern: string): string[] {
  const files = expandBraces(pattern).flatMap((one) =>
    matches(
      directory,
      '',
      one.split('/').filter((segment) => segment !== '.'),
    ),
  );
  return Array.from(new Set(files));
}

function expandBraces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/.exec(pattern);
  if (match === null) return [pattern];
  const [, before = '', choices = '', after = ''] = match;
  return choices.split(',').flatMap((choice) => expandBraces(before + choice + after));
}

function matches(root: string, path: string, segments: readonly string[]): string[] {
  const [segment, ...rest] = segments;
  if (segment === undefined) return [path];
  if (segment === '**') {
    const below = entries(root, path)
      .filter((entry) => entry.isDirectory)
      .flatMap((entry) => matches(root, join(path, entry.name), segments));
    return [...matches(root, path, rest), ...below];
  }
  if (!segment.includes('*')) {
    const next = join(path, segment);
    return existsSync(join(root, next)) ? matches(root, next, rest) : [];
  }
  const shape = new RegExp(
    `^${segment.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}$`,
  );
  return entries(root, path)
    .filter(({ isDirectory, name }) => shape.test(name) && isDirectory === rest.length > 0)
    .flatMap(({ name }) => matches(root, join(path, name), rest));
}

function entries(root: string, path: string): { name: string; isDirectory: boolean }[] {
  return readdirSync(join(root, path), { withFileTypes: true }).map((entry) => ({
    name: entry.name,
    isDirectory: entry.isDirectory(),
  }));
}
