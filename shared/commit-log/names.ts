import type { TaskAddress } from '../model/task-address';
import { versionNumber } from '../model/version-name';

/** What the writer of a seal begins with where a decision ended a version; the next version follows. */
export const versionWriterPrefix = 'version/';

/** The same where the hub was promoted: the next life on it follows. */
export const promotionWriterPrefix = 'promotion/';

const generationDigits = 8;
const commitDigits = 15;
const partDigits = 4;
const generationPattern = /^\d{8,15}$/;
const logRoot = 'commits';
const snapshotRoot = 'snapshots';

/** Everything of one topology, of every version. */
export function topologyPrefix(topology: string): string {
  return `${logRoot}/${topology}/`;
}

/** Everything of one version of a topology. */
function versionPrefix(task: Pick<TaskAddress, 'topology' | 'version'>): string {
  return `${topologyPrefix(task.topology)}${task.version}/`;
}

/** Every incarnation of one stage, of one version. */
export function stagePrefix(task: Pick<TaskAddress, 'topology' | 'version' | 'stage'>): string {
  return `${versionPrefix(task)}${task.stage}/`;
}

/** Every generation of one log. */
export function logPrefix(path: TaskAddress): string {
  return `${stagePrefix(path)}${path.incarnation}/${path.partition}/`;
}

export function generationName(path: TaskAddress, generation: number): string {
  return logPrefix(path) + padded(generation);
}

/** Every snapshot of one log. */
export function snapshotsPrefix(path: TaskAddress): string {
  const { incarnation, partition, stage, topology, version } = path;
  return `${snapshotRoot}/${topology}/${version}/${stage}/${incarnation}/${partition}/`;
}

/** What the parts of the snapshot at a commit begin with; of a later one they sort behind. */
export function snapshotPrefix(path: TaskAddress, commit: number): string {
  return `${snapshotsPrefix(path)}${padded(commit, commitDigits)}-`;
}

export function partName(
  path: TaskAddress,
  part: { readonly commit: number; readonly index: number; readonly crc32: number },
): string {
  const index = padded(part.index, partDigits);
  return `${snapshotPrefix(path, part.commit)}${index}-${part.crc32.toString(16).padStart(8, '0')}`;
}

/** Reads a generation's name; undefined: the name is no log's. */
export function parseGenerationName(
  name: string,
): { readonly path: TaskAddress; readonly generation: number } | undefined {
  const [root, topology, version, stage, incarnation, partition, digits, ...rest] = name.split('/');
  if (root !== logRoot || !topology || !stage || !incarnation || !partition) return undefined;
  if (digits === undefined || rest.length > 0 || !generationPattern.test(digits)) return undefined;
  if (version === undefined || versionNumber(version) === undefined) return undefined;
  return {
    path: { topology, version, stage, incarnation, partition },
    generation: Number(digits),
  };
}

/** True for a blob of a log as builds before format 2 laid it out, without the topology's version. */
export function isFormerGenerationName(name: string): boolean {
  const [root, topology, stage, incarnation, partition, digits, ...rest] = name.split('/');
  if (root !== logRoot || !topology || !stage || !incarnation || !partition) return false;
  return digits !== undefined && rest.length === 0 && generationPattern.test(digits);
}

function padded(number: number, digits = generationDigits): string {
  return String(number).padStart(digits, '0');
}
