/**
 * Names under `control/`, beside the logs: what people and processes tell all workers. The name of a
 * topology begins with a letter, so that no topology meets what is kept for all of them.
 */

/** There: this topology's sources are to be drained. */
export function drainMarkName(topology: string): string {
  return `control/${topology}/drain`;
}

/** The plans of a topology, by number. */
export function planFolder(topology: string): string {
  return `control/${topology}/plan/`;
}

/** What each build of a topology said of itself. */
export function buildFolder(topology: string): string {
  return `control/${topology}/builds/`;
}

/** How the versions of a topology began. */
export function versionBeginningName(topology: string, version: string): string {
  return `control/${topology}/versions/${version}.json`;
}

/** The resets of a topology, and how far each has come. */
export function resetFolder(topology: string): string {
  return `control/${topology}/resets/`;
}

/** What has been claimed of the partitions that feed an exchange. */
export function claimJournalName(exchange: {
  readonly topology: string;
  readonly hub: string;
}): string {
  return `control/${exchange.topology}/claims/${exchange.hub}.json`;
}

/** What surveys saw last of the time of a topology's sources. */
export function sourceTimesFolder(topology: string): string {
  return `control/${topology}/source-times/`;
}

/** Why tasks stand still, for all topologies. */
export const haltFolder = 'control/_halted/';

export function haltMarkName(functionName: string, partition: string): string {
  return `${haltFolder}${functionName}/${partition}.json`;
}
