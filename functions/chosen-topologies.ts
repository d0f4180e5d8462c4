import { StreamError } from '../shared/model/errors';

/**
 * Which topologies this app runs, by the setting's names with commas between; null: all.
 * @throws StreamError STREAM_CONFIGURATION_INVALID for a name that no topology has
 */
export function chosenTopologies(
  setting: string | null,
  known: readonly string[],
): (topology: string) => boolean {
  if (setting === null) return () => true;
  const names = setting.split(',').map((name) => name.trim());
  const chosen = new Set(names.filter((name) => name !== ''));
  for (const name of chosen) {
    if (known.includes(name)) continue;
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `MILLRACE_TOPOLOGIES names ${name}, there is: ${known.join(', ')}`,
    );
  }
  return (topology) => chosen.has(topology);
}
