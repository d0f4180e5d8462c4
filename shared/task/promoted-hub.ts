/**
 * A hub whose namespace was promoted by force: a replica in another region goes on in its place, without the last
 * messages that had not reached it. The hub's creation time stays; the numbers of what was lost are given out
 * again, with later enqueued times. What was read before is told from what has its number now by when it was
 * enqueued, and by nothing else.
 */
import { incarnationOf, hubOf } from '../commit-log/incarnations';
import type { Cursor } from '../model/commit';
import { StreamError } from '../model/errors';
import type { HubReader } from '../model/ports';
import type { TaskAddress } from '../model/task-address';
import { hubRecreated } from './incarnations';
import { lastNumberBefore, type LifeBeginning, type ReadMessage } from './promotion';

/**
 * A promotion takes longer: of two messages that follow each other and were enqueued within this time either both
 * are of the region before or neither is.
 */
const promotionLeastMs = 500;

/**
 * The messages of which it has to be asked whether the hub still holds them, before what comes behind them is
 * taken for what follows: those after which nothing was enqueued for as long as a promotion takes, and those
 * whose numbers came again later. In the steady flow of a partition there are none.
 */
export function doubtful(
  last: ReadMessage | null,
  messages: readonly ReadMessage[],
): readonly ReadMessage[] {
  const doubts: ReadMessage[] = [];
  let before = last;
  let isOutrun = false;
  for (const message of messages) {
    if (before === null || message.sequenceNumber > before.sequenceNumber) {
      if (before !== null && !isSoonAfter(message, before)) doubts.push(before);
      before = message;
    } else if (last !== null && isOtherThan(message, last)) isOutrun = true;
  }
  return isOutrun && last !== null && doubts[0] !== last ? [last, ...doubts] : doubts;
}

function isSoonAfter(message: ReadMessage, before: ReadMessage): boolean {
  const laterMs = message.enqueuedTimeMs - before.enqueuedTimeMs;
  return laterMs >= 0 && laterMs < promotionLeastMs;
}

/** A message with a number up to the last one's: another one than was read then. */
function isOtherThan(message: ReadMessage, last: ReadMessage): boolean {
  return message.sequenceNumber === last.sequenceNumber
    ? message.enqueuedTimeMs !== last.enqueuedTimeMs
    : message.enqueuedTimeMs > last.enqueuedTimeMs;
}

/** So often a hub is asked that changes while it is asked. */
const looksMax = 5;

/**
 * Whether the hub holds other messages in the place of these, or ends before them: it was promoted. What
 * retention has eaten tells nothing.
 *
 * @throws StreamError STREAM_HUB_RECREATED where it is another hub by now; STREAM_HUB_UNAVAILABLE
 */
export async function isPromoted(
  hub: HubReader,
  address: TaskAddress,
  doubts: readonly ReadMessage[],
): Promise<boolean> {
  for (let look = 1; look <= looksMax; look += 1) {
    const isOther = await holdsOthers(hub, address, doubts);
    if (isOther === null) continue;
    // Asked only then: an ordinary pause costs one read.
    if (isOther) await assertSameHub(hub, address);
    return isOther;
  }
  throw unsteady(address);
}

/** Null: the hub has changed while it was asked. */
async function holdsOthers(
  hub: HubReader,
  { partition }: TaskAddress,
  doubts: readonly ReadMessage[],
): Promise<boolean | null> {
  const [first, last] = [doubts[0], doubts.at(-1)];
  if (first === undefined || last === undefined) return false;
  const held = await hub.read({
    partitionId: partition,
    firstSequenceNumber: first.sequenceNumber,
    lastSequenceNumber: last.sequenceNumber,
    messagesMax: last.sequenceNumber - first.sequenceNumber + 1,
  });
  const times = new Map(held.map((one) => [one.sequenceNumber, one.enqueuedTimeMs]));
  const isOther = doubts.some(({ enqueuedTimeMs, sequenceNumber }) => {
    const heldMs = times.get(sequenceNumber);
    return heldMs !== undefined && heldMs !== enqueuedTimeMs;
  });
  if (isOther) return true;
  const missing = doubts.filter(({ sequenceNumber }) => !times.has(sequenceNumber));
  if (missing.length === 0) return false;
  const bounds = await hub.bounds(partition);
  if (missing.some(({ sequenceNumber }) => sequenceNumber > bounds.lastSequenceNumber)) return true;
  const isRetained = missing.some(
    ({ sequenceNumber }) => !bounds.isEmpty && sequenceNumber >= bounds.firstSequenceNumber,
  );
  return isRetained ? null : false;
}

/**
 * The first message of a promoted hub that was not read: what has been read was enqueued no later than the last
 * of it. Found by few reads from the end on, for few messages are lost as a rule.
 */
export async function findBeginning(
  hub: HubReader,
  address: TaskAddress,
  known: { readonly last: ReadMessage | null; readonly cursor: Cursor },
): Promise<LifeBeginning> {
  const { partition } = address;
  const bounds = await hub.bounds(partition);
  const first = Math.max(0, bounds.firstSequenceNumber);
  const end = bounds.isEmpty ? first : bounds.lastSequenceNumber + 1;
  const times = new Map<number, number>();
  const timeOf = async (sequenceNumber: number): Promise<number> => {
    const knownMs = times.get(sequenceNumber);
    if (knownMs !== undefined) return knownMs;
    const [message] = await hub.read({
      partitionId: partition,
      ...{ firstSequenceNumber: sequenceNumber, lastSequenceNumber: sequenceNumber },
      messagesMax: 1,
    });
    if (message?.sequenceNumber !== sequenceNumber) throw unsteady(address);
    times.set(sequenceNumber, message.enqueuedTimeMs);
    return message.enqueuedTimeMs;
  };
  const { cursor, last } = known;
  const isThere = async ({ enqueuedTimeMs, sequenceNumber }: ReadMessage): Promise<boolean> =>
    sequenceNumber >= first &&
    sequenceNumber < end &&
    (await timeOf(sequenceNumber)) === enqueuedTimeMs;
  let begin: Cursor;
  if (last === null) begin = { sequenceNumber: first, index: 0 };
  // What was read is all there: only what came behind it was lost.
  else if (await isThere(last)) begin = cursor;
  else {
    const high = Math.max(first, Math.min(end, last.sequenceNumber + 1));
    const isNewer = async (number: number): Promise<boolean> =>
      (await timeOf(number)) > last.enqueuedTimeMs;
    begin = { sequenceNumber: await firstOf(isNewer, { low: first, high }), index: 0 };
  }
  const { sequenceNumber } = begin;
  const before = lastNumberBefore(begin);
  const beginning = {
    cursor: begin,
    lastEnqueuedAtMs: before >= first && before < end ? await timeOf(before) : null,
    fromEnqueuedMs:
      sequenceNumber >= first && sequenceNumber < end ? await timeOf(sequenceNumber) : null,
  };
  await assertSameHub(hub, address);
  return beginning;
}

/** The first number of a range for which something is so that is so for all behind it; its end where for none. */
async function firstOf(
  isSo: (number: number) => Promise<boolean>,
  range: { readonly low: number; readonly high: number },
): Promise<number> {
  let { high, low } = range;
  for (let step = 1; low < high; step *= 2) {
    const probe = Math.max(low, high - step);
    if (!(await isSo(probe))) {
      low = probe + 1;
      break;
    }
    high = probe;
  }
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isSo(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

async function assertSameHub(hub: HubReader, address: TaskAddress): Promise<void> {
  const nowIncarnation = incarnationOf(await hub.describe());
  if (nowIncarnation !== hubOf(address.incarnation)) throw hubRecreated(address, nowIncarnation);
}

function unsteady(address: TaskAddress): StreamError {
  return new StreamError(
    'STREAM_HUB_UNAVAILABLE',
    'the partition changed while it was looked at: it is looked at again',
    { details: { ...address } },
  );
}

/** The task's life has ended with the region that was read: the next one begins. */
export function hubPromoted(
  address: TaskAddress,
  details: Readonly<Record<string, unknown>>,
): StreamError {
  return new StreamError(
    'STREAM_HUB_PROMOTED',
    'the hub does not hold what was read of it any more: its namespace was promoted by force. This task is opened ' +
      'anew and goes on with what the hub holds now',
    { details: { ...address, ...details } },
  );
}
