/**
 * Compares what a function recorded with what was sent: pure, so that the rules themselves can be
 * tested with records of a host that breaks them. Returns one sentence for each breach.
 */
import { isDeepStrictEqual } from 'node:util';
import { toNumber, type Long } from './long';
import type { Body } from './app/records';
import type { SentEvent } from './app/send';
import type { HubCheck } from './check';

/** Of one invocation, as test/conformance/app writes it. */
export interface HubRecord {
  readonly invocationId: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: 'threw' | 'returned';
  readonly retryContext: { readonly retryCount: number } | null;
  readonly bodies: readonly Body[];
  readonly metadata: HubMetadata;
  readonly engine: {
    readonly partition: string;
    readonly messages: readonly {
      readonly sequenceNumber: number;
      readonly enqueuedTimeMs: number;
    }[];
  } | null;
}

interface HubMetadata {
  readonly partitionContext: { readonly partitionId: string };
  readonly sequenceNumberArray?: readonly Long[];
  readonly sequenceNumber?: Long;
  readonly propertiesArray?: readonly Properties[];
  readonly properties?: Properties;
}

type Properties = Readonly<Record<string, unknown>>;

/** Where one event turned up. */
interface Sighting {
  readonly record: HubRecord;
  readonly sequenceNumber: number;
  readonly body: Body | undefined;
}

export interface Run {
  readonly run: string;
  readonly sentAtMs: number;
  readonly records: readonly HubRecord[];
}

/** Clocks may differ by this much; a time read in the wrong zone differs by more. */
const clockToleranceMs = 10 * 60_000;

export const eventId = (step: number, index: number): string => `${step}-${index}`;

/** The events of a step, each with the identity by which it is found again. */
export function eventsOf(check: HubCheck, step: number, run: string): SentEvent[] {
  const { events = [], repeat = 1 } = check.steps[step] ?? {};
  return Array.from({ length: repeat }, () => events)
    .flat()
    .map((event, index) => ({
      ...event,
      properties: { ...event.properties, run, id: eventId(step, index) },
    }));
}

export function sightings({ records, run }: Run): Map<string, Sighting[]> {
  const found = new Map<string, Sighting[]>();
  for (const record of records) {
    const { metadata } = record;
    const properties = metadata.propertiesArray ?? [metadata.properties ?? {}];
    const numbers = metadata.sequenceNumberArray ?? [metadata.sequenceNumber ?? -1];
    properties.forEach(({ id, run: ofRun }, index) => {
      if (ofRun !== run) return;
      const list = found.get(String(id)) ?? [];
      const sequenceNumber = toNumber(numbers[index] ?? -1);
      list.push({ record, sequenceNumber, body: record.bodies[index] });
      found.set(String(id), list);
    });
  }
  return found;
}

export function judge(check: HubCheck, run: Run): string[] {
  const seen = sightings(run);
  return [
    ...check.steps.flatMap((_step, index) => judgeStep(check, index, seen, run)),
    ...judgePartitions(run, seen),
    ...run.records.flatMap((record) => judgeEngine(record, run.sentAtMs)),
  ];
}

function judgeStep(
  check: HubCheck,
  index: number,
  seen: ReadonlyMap<string, Sighting[]>,
  { run }: Run,
): string[] {
  const { during, outcomes = ['returned'] } = check.steps[index] ?? {};
  const faults = eventsOf(check, index, run).flatMap((event) => {
    const id = String(event.properties?.['id']);
    const list = seen.get(id) ?? [];
    const ends = list.map(({ record }) => record.outcome);
    if (!isDeepStrictEqual(ends, [...outcomes])) {
      return [`event ${id}: invocations ended ${said(ends)}, not ${said(outcomes)}`];
    }
    return [...judgeBody(event, list), ...judgeRetries(id, list)];
  });
  if (during !== undefined && faults.length === 0) {
    const started = seen.get(eventId(index, 0))?.[0]?.record.startedAtMs ?? Infinity;
    const ended = seen.get(eventId(during, 0))?.at(-1)?.record.startedAtMs ?? -Infinity;
    if (started >= ended) faults.push(`step ${index} had to wait for step ${during} to be over`);
  }
  return faults;
}

const said = (ends: readonly string[]): string =>
  ends.length === 0 ? 'not at all' : ends.join(', ');

function judgeBody(event: SentEvent, list: readonly Sighting[]): string[] {
  const sent =
    event.base64 === undefined
      ? Buffer.from(event.text ?? JSON.stringify(event.json))
      : Buffer.from(event.base64, 'base64');
  return list.flatMap(({ body }) => {
    if (body === undefined) return ['a batch has fewer bodies than properties'];
    const isSame =
      body.kind === 'bytes'
        ? body.base64 === sent.toString('base64')
        : body.kind === 'text'
          ? body.text === sent.toString()
          : isDeepStrictEqual(body.json, event.json);
    return isSame ? [] : [`a body came as ${JSON.stringify(body)}, sent was ${sent.toString()}`];
  });
}

/** A retry is the same batch under another invocation id, and counted. */
function judgeRetries(id: string, list: readonly Sighting[]): string[] {
  const faults: string[] = [];
  const counts = list.map(({ record }) => record.retryContext?.retryCount ?? null);
  const wanted = counts.length === 1 && counts[0] === null ? [null] : Array.from(counts.keys());
  if (!isDeepStrictEqual(counts, wanted)) {
    faults.push(`event ${id}: attempts were counted ${counts.join(', ')}`);
  }
  if (new Set(list.map(({ record }) => record.invocationId)).size !== list.length) {
    faults.push(`event ${id}: two invocations have one id`);
  }
  const batches = list.map(({ record }) => numbersOf(record).join());
  if (new Set(batches).size > 1) faults.push(`event ${id}: a retry has another batch`);
  return faults;
}

function numbersOf({ metadata }: HubRecord): number[] {
  return (metadata.sequenceNumberArray ?? [metadata.sequenceNumber ?? -1]).map(toNumber);
}

/** In order, without a hole, one batch at a time, and what was sent first is first. */
function judgePartitions(
  { records }: Run,
  seen: ReadonlyMap<string, readonly Sighting[]>,
): string[] {
  const faults: string[] = [];
  const byPartition = new Map<string, HubRecord[]>();
  for (const record of records) {
    const { partitionId } = record.metadata.partitionContext;
    byPartition.set(partitionId, [...(byPartition.get(partitionId) ?? []), record]);
  }
  for (const [partition, list] of byPartition) {
    list.slice(1).forEach((record, index) => {
      const before = list[index];
      if (before === undefined) return;
      if (record.startedAtMs < before.endedAtMs) {
        faults.push(`partition ${partition}: two batches at a time`);
      }
      const isRetry = (record.retryContext?.retryCount ?? 0) > 0;
      const last = numbersOf(before).at(-1) ?? -1;
      const first = numbersOf(record)[0] ?? -1;
      if (!isRetry && first <= last) {
        faults.push(`partition ${partition}: ${first} was delivered after ${last}`);
      }
    });
    for (const record of list) {
      const numbers = numbersOf(record);
      if (numbers.some((number, index) => index > 0 && number !== (numbers[index - 1] ?? 0) + 1)) {
        faults.push(`partition ${partition}: a batch has ${numbers.join(', ')}`);
      }
    }
  }
  return [...faults, ...judgeSendingOrder(seen)];
}

/** Events of one partition are delivered as they were sent: by step, and within it. */
function judgeSendingOrder(seen: ReadonlyMap<string, readonly Sighting[]>): string[] {
  const last = new Map<string, readonly [step: number, index: number]>();
  for (const [id, [first]] of seen) {
    if (first === undefined) continue;
    const { partitionId } = first.record.metadata.partitionContext;
    const [step = 0, index = 0] = id.split('-').map(Number);
    const [stepBefore, indexBefore] = last.get(partitionId) ?? [-1, -1];
    if (step < stepBefore || (step === stepBefore && index < indexBefore)) {
      return [`partition ${partitionId}: event ${id} came after one that was sent later`];
    }
    last.set(partitionId, [step, index]);
  }
  return [];
}

/** What Millrace's own entry point makes of the batch. */
function judgeEngine(record: HubRecord, sentAtMs: number): string[] {
  if (record.engine === null) return [];
  const { messages, partition } = record.engine;
  const numbers = messages.map(({ sequenceNumber }) => sequenceNumber);
  const faults: string[] = [];
  if (partition !== record.metadata.partitionContext.partitionId) {
    faults.push(`the engine reads partition ${partition}`);
  }
  if (!isDeepStrictEqual(numbers, numbersOf(record))) {
    faults.push(`the engine reads sequence numbers ${numbers.join(', ')}`);
  }
  const wrong = messages.find(
    ({ enqueuedTimeMs }) => !(Math.abs(enqueuedTimeMs - sentAtMs) < clockToleranceMs),
  );
  if (wrong !== undefined) {
    faults.push(
      `the engine reads an arrival at ${wrong.enqueuedTimeMs} ms, sent was ${sentAtMs} ms`,
    );
  }
  return faults;
}
