import { emptyLedger, type DeadLetter, type LedgerCounts } from '../model/commit';
import { StreamError } from '../model/errors';
import type { EventEnd, LedgerDraft, StagePlan } from '../model/program';
import type { EnvelopeEvent } from '../exchange/envelope';
import { decodeMessage, eventTexts, type DecodedEvent } from '../ingest/decode';
import type { KeyedStore } from '../state/keyed-state';
import { valueOfPayload } from './dead-letter-payload';
import type { Draft } from './draft';
import type { StageServices } from './services';
import type { TaskHold } from './task-hold';

/** Store of a task's state that says which of its dead letters are settled, by letter id. */
export const lettersStore = '$letters';

/** How a dead letter was settled: journalled with the commit that did it, so it happens once. */
export interface LetterVerdict {
  readonly kind: 'redriven' | 'discarded';
  readonly atMs: number;
  /** Who asked: a job, a person. */
  readonly by: string;
  readonly reason: string;
  /** How the redriven event ended; null for one that was discarded. */
  readonly end: EventEnd | null;
}

export interface LetterToSettle {
  /** `<commit>.<n>`: the n-th dead letter of that commit of this task. */
  readonly id: string;
  readonly letter: DeadLetter;
}

export interface SettleRequest {
  readonly kind: LetterVerdict['kind'];
  readonly letters: readonly LetterToSettle[];
  readonly by: string;
  readonly reason: string;
  readonly deadlineMs: number;
}

export interface SettledLetter {
  readonly id: string;
  readonly verdict: LetterVerdict;
  /** True when an earlier call, or somebody else, had settled it. */
  readonly wasSettled: boolean;
}

/** Letters of one commit, at most: smaller commits lose less when somebody else is first. */
const lettersPerCommit = 200;

/**
 * Settles dead letters of a task in commits of their own. A redriven event is read again: it runs
 * through the program as it would have in its place, and what it does is in the same append as the
 * note that its letter is settled. So it takes effect exactly once, however often this is called,
 * by however many at once, and wherever it is killed. See docs/adr/0031.
 *
 * Letters that are left when the deadline comes are not in the answer: ask again.
 *
 * Delivery: exactly once, as all commits. Order: letters in the order given; what the task has read
 * since they died is not undone.
 */
export async function settleLetters(
  hold: TaskHold,
  request: SettleRequest & { readonly plan: StagePlan },
  services: StageServices,
): Promise<readonly SettledLetter[]> {
  const settled: SettledLetter[] = [];
  const store = hold.state.keyed.store<LetterVerdict>(lettersStore);
  // A held task may be behind: what others settled is in the log.
  await hold.catchUp();
  let rest = request.letters;
  while (rest.length > 0 && services.clock.nowMs() < request.deadlineMs) {
    await hold.prepare();
    const open = rest.filter(({ id }) => store.get(id) === undefined);
    for (const { id } of rest) {
      const verdict = store.get(id);
      if (verdict !== undefined) settled.push({ id, verdict, wasSettled: true });
    }
    if (open.length === 0) break;
    const { draft, taken } = draftSettlement(hold, { ...request, letters: open }, services);
    if ((await hold.append(draft)) === 'conflict') {
      rest = open;
      continue;
    }
    for (const { id } of open.slice(0, taken)) {
      const verdict = store.get(id);
      if (verdict !== undefined) settled.push({ id, verdict, wasSettled: false });
    }
    rest = open.slice(taken);
    await hold.deliver();
  }
  return settled;
}

/** One commit's worth of settled letters: as many as fit one append. */
function draftSettlement(
  hold: TaskHold,
  request: SettleRequest & { readonly plan: StagePlan },
  services: StageServices,
): { readonly draft: Draft; readonly taken: number } {
  const { blockBytesMax } = services.limits.log;
  let count = Math.min(request.letters.length, lettersPerCommit);
  let tooLarge: StreamError | null = null;
  for (;;) {
    // What redriven events make due fires with the task's next batch, which cuts it to size.
    hold.program.beginCommit(0);
    const ledger = runLetters(hold, request, count, tooLarge, services.clock.nowMs());
    const position = { to: hold.cursor, messages: 0, inputHash: 0, gaps: [] };
    const draft = hold.draft({ ...position, ledger }, 'events');
    if (draft.bytes <= blockBytesMax) return { draft, taken: count };
    hold.rollback();
    if (count > 1) {
      count = Math.ceil(count / 2);
    } else {
      tooLarge = new StreamError(
        'STREAM_EVENT_TOO_LARGE',
        `what this one event makes takes ${draft.bytes} bytes, a commit holds ${blockBytesMax}`,
      );
    }
  }
}

function runLetters(
  hold: TaskHold,
  request: SettleRequest & { readonly plan: StagePlan },
  count: number,
  tooLarge: StreamError | null,
  nowMs: number,
): LedgerCounts {
  const store: KeyedStore<LetterVerdict> = hold.state.keyed.store(lettersStore);
  const ledger: LedgerDraft = { ...emptyLedger };
  const { by, kind, reason } = request;
  for (const { id, letter } of request.letters.slice(0, count)) {
    const verdict = { kind, atMs: nowMs, by, reason };
    if (kind === 'discarded') {
      store.put(id, { ...verdict, end: null });
      continue;
    }
    hold.outputs.attempts = letter.attempts + 1;
    let end: EventEnd = 'filtered';
    for (const event of eventsOf(letter)) {
      ledger.read += 1;
      hold.outputs.payload = event.payload;
      end = runEvent(hold, letter, event.decoded, { plan: request.plan, tooLarge });
      ledger[end] += 1;
    }
    store.put(id, { ...verdict, end });
  }
  return ledger;
}

const notWhole =
  'the log kept only its beginning, for it was too large: backfill its range from the hub while that has it';

interface LetterEvent {
  readonly decoded: DecodedEvent;
  /** Its bytes, for the dead letter that it may become again. */
  readonly payload: () => Uint8Array;
}

/** A letter's event as it was read. Bytes that made no event may make several by now. */
function eventsOf(letter: DeadLetter): LetterEvent[] {
  const bytes = Buffer.from(letter.payloadBase64, 'base64');
  if (letter.code === 'STREAM_EVENT_UNDECODABLE') {
    let texts: readonly string[] | null = null;
    const textOf = (index: number): string => (texts ??= eventTexts(bytes))[index] ?? '';
    return decodeMessage(bytes).map((decoded, index) => ({
      decoded,
      payload: () => (decoded.ok ? Buffer.from(textOf(index)) : decoded.payload),
    }));
  }
  // Of an event that was decoded the letter holds the JSON text.
  const whole = valueOfPayload(bytes);
  const decoded: DecodedEvent =
    whole === undefined
      ? { ok: false, reason: notWhole, payload: bytes }
      : { ok: true, value: whole.value };
  return [{ decoded, payload: () => bytes }];
}

function runEvent(
  hold: TaskHold,
  letter: DeadLetter,
  event: DecodedEvent,
  run: { readonly plan: StagePlan; readonly tooLarge: StreamError | null },
): EventEnd {
  const { enqueuedTimeMs, index, operator, sequenceNumber } = letter;
  const position = { sequenceNumber, index, enqueuedTimeMs };
  const refuse = ({ code, message }: StreamError): EventEnd => {
    hold.outputs.deadLetter({ ...position, code, message, operator });
    return 'deadLettered';
  };
  if (!event.ok) return refuse(new StreamError('STREAM_EVENT_UNDECODABLE', event.reason));
  if (run.tooLarge !== null) return refuse(run.tooLarge);
  if (run.plan.input.kind === 'source') {
    return hold.program.process({ ...position, key: null, eventTimeMs: null, value: event.value });
  }
  const [key, eventTimeMs, value] = event.value as EnvelopeEvent;
  return hold.program.process({ ...position, key, eventTimeMs, value });
}

/** Why a letter can only be discarded; null: it may be redriven. */
export function whyNotRedriven(letter: DeadLetter): string | null {
  if (letter.code === 'STREAM_RESULT_FAILED') {
    return 'it is the result of a window, whose events were taken in: mend the function and backfill';
  }
  if (letter.operator === 'exchange') {
    return 'it is a message of an exchange that cannot be read: its producer sent what this build does not know';
  }
  if (
    letter.code !== 'STREAM_EVENT_UNDECODABLE' &&
    valueOfPayload(Buffer.from(letter.payloadBase64, 'base64')) === undefined
  ) {
    return notWhole;
  }
  return null;
}
