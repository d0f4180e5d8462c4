import {
  emptyLedger,
  type CommitRecord,
  type DeadLetter,
  type LedgerCounts,
  type LetterSettlement,
  type LetterVerdict,
} from '../model/commit';
import { invariant, StreamError } from '../model/errors';
import type { EventEnd, LedgerDraft, StagePlan } from '../model/program';
import { eventOfEnvelope, type EnvelopeEvent } from '../delivery/exchange/envelope';
import { openMessage, type DecodedEvent } from '../ingest/decode';
import type { KeyedStore } from '../state/stores';
import { tooLarge } from './commit-cut';
import { eventOfPayload } from './dead-letter-payload';
import { nothingRead } from './draft';
import type { StageServices } from './services';
import type { TaskHold } from './task-hold';

/** Store of a task's state that says which of its dead letters are settled, by letter id. */
export const lettersStore = '$letters';

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

export interface SettledLetter extends LetterSettlement {
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
): { readonly draft: CommitRecord; readonly taken: number } {
  const { blockBytesMax } = services.limits.log;
  let count = Math.min(request.letters.length, lettersPerCommit);
  let refusal: StreamError | null = null;
  for (;;) {
    // What redriven events make due fires with the task's next batch, which cuts it to size.
    hold.program.beginCommit(0);
    const nowMs = services.clock.nowMs();
    const { ledger, settledLetters } = runLetters(hold, request, {
      ...{ lettersMax: count, refusal, nowMs },
    });
    const taken = settledLetters.length;
    const draft = hold.draft(
      { ...nothingRead, to: hold.cursor, ledger, settledLetters, processingTimeMs: nowMs },
      'events',
    );
    if (draft !== null) return { draft, taken };
    hold.rollback();
    if (count > 1) {
      count = Math.ceil(Math.min(count, taken) / 2);
    } else {
      invariant(refusal === null, 'a dead letter fits one commit');
      refusal = tooLarge('this one letter', { bytesMax: blockBytesMax });
    }
  }
}

/** Runs letters in order, as many as are asked for and seem to fit one commit. */
function runLetters(
  hold: TaskHold,
  request: SettleRequest & { readonly plan: StagePlan },
  run: {
    readonly lettersMax: number;
    readonly refusal: StreamError | null;
    readonly nowMs: number;
  },
): { readonly ledger: LedgerCounts; readonly settledLetters: readonly LetterSettlement[] } {
  const store: KeyedStore<LetterVerdict> = hold.state.keyed.store(lettersStore);
  const ledger: LedgerDraft = { ...emptyLedger };
  const { by, kind, reason } = request;
  const settledLetters: LetterSettlement[] = [];
  for (const { id, letter } of request.letters.slice(0, run.lettersMax)) {
    if (settledLetters.length > 0 && hold.outputs.isFull) break;
    const end = kind === 'discarded' ? null : redrive(hold, letter, ledger, { ...request, ...run });
    const verdict = { kind, atMs: run.nowMs, by, reason, end };
    store.put(id, verdict);
    settledLetters.push({ id, verdict });
  }
  return { ledger, settledLetters };
}

function redrive(
  hold: TaskHold,
  letter: DeadLetter,
  ledger: LedgerDraft,
  run: { readonly plan: StagePlan; readonly refusal: StreamError | null },
): EventEnd {
  hold.outputs.attempts = letter.attempts + 1;
  if (run.refusal !== null) {
    // What it holds may be many events: it stays the one letter that it is.
    ledger.read += 1;
    ledger.deadLettered += 1;
    hold.outputs.payload = () => Buffer.from(letter.payloadBase64, 'base64');
    const { code, message } = run.refusal;
    return refuse(hold, letter, { code: isOfMessage(letter) ? letter.code : code, message });
  }
  let end: EventEnd = 'filtered';
  for (const event of eventsOf(letter)) {
    ledger.read += 1;
    hold.outputs.payload = event.payload;
    end = runEvent(hold, letter, event.decoded, run.plan);
    ledger[end] += 1;
  }
  return end;
}

const notWhole =
  'the log kept only its beginning, for it was too large: backfill its range from the hub while that has it';

interface LetterEvent {
  readonly decoded: DecodedEvent;
  /** Its bytes, for the dead letter that it may become again. */
  readonly payload: () => Uint8Array;
}

/** A letter's event as it was read. Bytes that made no event, or were never read, may make several. */
function* eventsOf(letter: DeadLetter): Generator<LetterEvent> {
  const bytes = Buffer.from(letter.payloadBase64, 'base64');
  if (isOfMessage(letter)) {
    const events = openMessage(bytes);
    for (let index = 0; index < events.length; index += 1) {
      yield { decoded: events.at(index), payload: () => events.bytesOf(index) };
    }
    return;
  }
  // Of an event that was decoded the letter holds the JSON text.
  const whole = eventOfPayload(bytes);
  yield {
    decoded: whole ?? { ok: false, reason: notWhole, payload: bytes },
    payload: () => bytes,
  };
}

/** The letter's bytes were never decoded: how many events they make is not known. */
function isOfMessage({ code }: DeadLetter): boolean {
  return code === 'STREAM_EVENT_UNDECODABLE' || code === 'STREAM_MESSAGE_KILLED_WORKER';
}

function refuse(
  hold: TaskHold,
  letter: DeadLetter,
  { code, message }: { readonly code: string; readonly message: string },
): EventEnd {
  const { enqueuedTimeMs, index, operator, sequenceNumber } = letter;
  const position = { sequenceNumber, index, enqueuedTimeMs };
  hold.outputs.deadLetter({ ...position, code, message, operator });
  return 'deadLettered';
}

function runEvent(
  hold: TaskHold,
  letter: DeadLetter,
  event: DecodedEvent,
  plan: StagePlan,
): EventEnd {
  if (!event.ok) {
    return refuse(hold, letter, new StreamError('STREAM_EVENT_UNDECODABLE', event.reason));
  }
  const { enqueuedTimeMs, index, sequenceNumber } = letter;
  const position = { sequenceNumber, index, enqueuedTimeMs };
  if (plan.input.kind === 'source') {
    const { inexact, value } = event;
    return hold.program.process({ ...position, key: null, eventTimeMs: null, value, inexact });
  }
  return hold.program.process({ ...position, ...eventOfEnvelope(event.value as EnvelopeEvent) });
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
    !isOfMessage(letter) &&
    eventOfPayload(Buffer.from(letter.payloadBase64, 'base64')) === undefined
  ) {
    return notWhole;
  }
  return null;
}
