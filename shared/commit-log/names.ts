/** Which task a log belongs to. No part may contain a slash. */
export interface LogPath {
  readonly topology: string;
  /** Of the topology, chosen by a decision: `v1`, `v2` … (shared/model/version-name.ts). */
  readonly version: string;
  readonly stage: string;
  /** The input hub's creation time in milliseconds, zero-padded, so that names sort by age. */
  readonly incarnation: string;
  readonly partition: string;
}

const generationDigits = 8;
const logRoot = 'commits';
const snapshotRoot = 'snapshots';

/** Everything of one topology, of every version. */
export function topologyPrefix(topology: string): string {
  return `${logRoot}/${topology}/`;
}

/** Everything of one version of a topology. */
export function versionPrefix(task: Pick<LogPath, 'topology' | 'version'>): string {
  return `${topologyPrefix(task.topology)}${task.version}/`;
}

/** Every incarnation of one stage, of one version. */
export function stagePrefix(task: Pick<LogPath, 'topology' | 'version' | 'stage'>): string {
  return `${versionPrefix(task)}${task.stage}/`;
}

/** Every generation of one log. */
export function logPrefix(path: LogPath): string {
  return `${stagePrefix(path)}${path.incarnation}/${path.partition}/`;
}

export function generationName(path: LogPath, generation: number): string {
  return logPrefix(path) + padded(generation);
}

/** Every snapshot of one log. */
export function snapshotsPrefix(path: LogPath): string {
  const { incarnation, partition, stage, topology, version } = path;
  return `${snapshotRoot}/${topology}/${version}/${stage}/${incarnation}/${partition}/`;
}

/** Every snapshot that anybody made for this generation to begin with. */
export function snapshotPrefix(path: LogPath, generation: number): string {
  return `${snapshotsPrefix(path)}${padded(generation)}-`;
}

export function snapshotName(path: LogPath, generation: number, crc32: number): string {
  return snapshotPrefix(path, generation) + crc32.toString(16).padStart(8, '0');
}

/** Reads a generation's name; undefined: the name is no log's. */
export function parseGenerationName(
  name: string,
): { readonly path: LogPath; readonly generation: number } | undefined {
  const [root, topology, version, stage, incarnation, partition, digits, ...rest] = name.split('/');
  if (root !== logRoot || !topology || !version || !stage || !incarnation || !partition) {
    return undefined;
  }
  if (digits === undefined || rest.length > 0 || !/^\d{8,15}$/.test(digits)) return undefined;
  const path = { topology, version, stage, incarnation, partition };
  return { path, generation: Number(digits) };
}

function padded(generation: number): string {
  return String(generation).padStart(generationDigits, '0');
}
