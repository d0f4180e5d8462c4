import type { AppendStore, HubDescription } from '../model/ports';
import { parseGenerationName, stagePrefix } from './names';
import type { TaskAddress } from '../model/task-address';

/** What tells a hub from its namesake of before: the text sorts by the hub's age. */
export function incarnationOf(hub: HubDescription): string {
  return String(hub.createdAtMs).padStart(15, '0');
}

const lifeDigits = 4;
const lifeMark = 'x';

/** The hub of a task's life: lives on one hub follow each other where it is reset, or was promoted. */
export function hubOf(incarnation: string): string {
  return incarnation.split(lifeMark, 1)[0] ?? incarnation;
}

/** The life that follows another on the same hub: it sorts behind it, and before a younger hub's. */
export function lifeAfter(incarnation: string): string {
  const [hub = '', life = '0'] = incarnation.split(lifeMark);
  return hub + lifeMark + String(Number(life) + 1).padStart(lifeDigits, '0');
}

/** The newest life of a task on a hub: the first one where none is known. */
export async function newestLife(
  appends: AppendStore,
  task: Omit<TaskAddress, 'incarnation'>,
  hub: HubDescription,
): Promise<string> {
  let newest = incarnationOf(hub);
  for (const name of await appends.list(stagePrefix(task) + newest)) {
    const path = parseGenerationName(name)?.path;
    if (path?.partition !== task.partition || path.incarnation <= newest) continue;
    if (hubOf(path.incarnation) === hubOf(newest)) newest = path.incarnation;
  }
  return newest;
}

/** The same of all partitions of a stage, by one listing. */
export async function newestLives(
  appends: AppendStore,
  stage: Omit<TaskAddress, 'incarnation' | 'partition'>,
  hub: HubDescription,
): Promise<(partition: string) => string> {
  const first = incarnationOf(hub);
  const newest = new Map<string, string>();
  for (const name of await appends.list(stagePrefix(stage) + first)) {
    const path = parseGenerationName(name)?.path;
    if (path === undefined || hubOf(path.incarnation) !== hubOf(first)) continue;
    const known = newest.get(path.partition) ?? first;
    if (path.incarnation > known) newest.set(path.partition, path.incarnation);
  }
  return (partition) => newest.get(partition) ?? first;
}

/** One life of a task's log. */
export interface KnownIncarnation {
  readonly incarnation: string;
  /** False while its only blob is empty: nothing says yet what the log begins with. */
  readonly hasBegun: boolean;
}

/** The incarnations of a task that have begun, oldest first. */
export async function listIncarnations(
  appends: AppendStore,
  task: Omit<TaskAddress, 'incarnation'>,
): Promise<string[]> {
  const known = await listKnownIncarnations(appends, task);
  return known.filter(({ hasBegun }) => hasBegun).map(({ incarnation }) => incarnation);
}

/** Also those that somebody is about to begin, or died before doing so. Oldest first. */
export async function listKnownIncarnations(
  appends: AppendStore,
  task: Omit<TaskAddress, 'incarnation'>,
): Promise<KnownIncarnation[]> {
  const blobs = new Map<string, string[]>();
  for (const name of await appends.list(stagePrefix(task))) {
    const path = parseGenerationName(name)?.path;
    if (path === undefined || path.partition !== task.partition) continue;
    blobs.set(path.incarnation, [...(blobs.get(path.incarnation) ?? []), name]);
  }
  const known: KnownIncarnation[] = [];
  for (const incarnation of Array.from(blobs.keys()).sort()) {
    const names = blobs.get(incarnation) ?? [];
    known.push({ incarnation, hasBegun: await hasBegun(appends, names) });
  }
  return known;
}

async function hasBegun(appends: AppendStore, names: readonly string[]): Promise<boolean> {
  if (names.length > 1) return true;
  return ((await appends.stat(names[0] ?? ''))?.bytes ?? 0) > 0;
}
