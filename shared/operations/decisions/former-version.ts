import { versionBefore } from '../../model/version-name';
import type { PlanEntry } from './plan-store';
import type { FormerVersion } from './versions';

/**
 * The version that a version follows, with the last plan that it had. Where control has lost that one its logs
 * are ended by the plan that is known: they say themselves what is open, and where their rows go.
 * Null: it is the first.
 */
export function formerVersion(
  history: readonly PlanEntry[],
  entry: FormerVersion,
): FormerVersion | null {
  const version = versionBefore(entry.version);
  if (version === null) return null;
  const { document, stages, topology } = entry;
  const last = history.filter((one) => one.version === version).at(-1);
  return last ?? { topology, version, document, stages };
}
