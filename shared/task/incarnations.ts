import {
  hubOf,
  incarnationOf,
  lifeAfter,
  listKnownIncarnations,
  type KnownIncarnation,
} from '../commit-log/incarnations';
import { logPrefix } from '../commit-log/names';
import { StreamError } from '../model/errors';
import type { AppendStore, HubDescription, HubMessage, HubReader } from '../model/ports';
import type { TaskAddress } from '../model/task-address';

/** Which life of a task is the one to open, and what it takes over where it has not begun. */
export interface Inheritance {
  readonly address: TaskAddress;
  readonly isBegun: boolean;
  /** Earlier lives of the same task, oldest first. */
  readonly earlier: readonly KnownIncarnation[];
}

/**
 * The newest life of a task on its hub, and who went before it: the same stage and partition on a hub
 * that was deleted and created again, or on the same one before a reset or a promotion.
 */
export async function findInheritance(
  appends: AppendStore,
  task: Omit<TaskAddress, 'incarnation'>,
  hub: HubDescription,
): Promise<Inheritance> {
  const known = await listKnownIncarnations(appends, task);
  const first = incarnationOf(hub);
  const newest = known.filter((one) => hubOf(one.incarnation) === first).at(-1);
  const incarnation = newest?.incarnation ?? first;
  return {
    address: { ...task, incarnation },
    isBegun: newest?.hasBegun === true,
    earlier: known.filter((one) => one.incarnation < incarnation),
  };
}

/** The life that follows a begun one which has ended on the same hub. */
export function nextLife({ address, earlier }: Inheritance): Inheritance {
  const { incarnation } = address;
  return {
    address: { ...address, incarnation: lifeAfter(incarnation) },
    isBegun: false,
    earlier: [...earlier, { incarnation, hasBegun: true }],
  };
}

/**
 * Asked when the log's blob is there and its header is not: of two processes that begin a log for
 * the former hub and one for the new hub at the same time, at least one sees the other's blob. So
 * the former is handed on to the new one, or it never begins.
 */
export async function assertMayBegin(
  appends: AppendStore,
  address: TaskAddress,
  earlier: readonly KnownIncarnation[],
): Promise<void> {
  const known = await listKnownIncarnations(appends, address);
  const newest = known.at(-1)?.incarnation ?? address.incarnation;
  if (newest > address.incarnation) throw hubRecreated(address, newest);
  if (known.length === earlier.length + 1) return;
  throw new StreamError(
    'STREAM_COMMIT_CONTENDED',
    'a log of the hub as it was before has begun meanwhile: it is handed on first; open the task anew',
    { details: { ...address } },
  );
}

/** When the task's log was last written to; 0 when there is none. */
export async function lastWriteMs(appends: AppendStore, address: TaskAddress): Promise<number> {
  const generations = await appends.list(logPrefix(address));
  const newest = generations.at(-1);
  if (newest === undefined) return 0;
  return (await appends.stat(newest))?.modifiedAtMs ?? 0;
}

/**
 * Reads a hub, then asks which one that was: positions of a hub that was created again meanwhile
 * mean nothing to the task. Rejects with STREAM_HUB_RECREATED then.
 */
export async function readIncarnation(
  hub: HubReader,
  address: TaskAddress,
  range: Parameters<HubReader['read']>[0],
): Promise<readonly HubMessage[]> {
  const messages = await hub.read(range);
  const nowIncarnation = incarnationOf(await hub.describe());
  if (nowIncarnation === hubOf(address.incarnation)) return messages;
  throw hubRecreated(address, nowIncarnation);
}

export function hubRecreated(address: TaskAddress, nowIncarnation: string): StreamError {
  return new StreamError(
    'STREAM_HUB_RECREATED',
    'the hub was deleted and created again: this task is opened anew',
    { details: { ...address, nowIncarnation } },
  );
}
