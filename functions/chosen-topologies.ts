import { StreamError } from '../shared/model/errors';

/**
 * The topologies that this app runs, in the order of the code.
 * @param setting names with commas between; null: all
 * @throws StreamError STREAM_CONFIGURATION_INVALID for a name that no topology has: an app without
 * its topology would look well and read nothing
 */
export function chosenTopologies<Named extends { readonly name: string }>(
  setting: string | null,
  all: readonly Named[],
): readonly Named[] {
  if (setting === null) return all;
  const names = setting
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = names.filter((name) => !all.some((one) => one.name === name));
  if (names.length > 0 && unknown.length === 0) {
    return all.filter(({ name }) => names.includes(name));
  }
  const said = unknown.length > 0 ? unknown.map((name) => `"${name}"`).join(', ') : 'no topology';
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `MILLRACE_TOPOLOGIES names ${said}; there is: ${all.map(({ name }) => name).join(', ')}`,
  );
}
