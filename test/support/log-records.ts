import fc from 'fast-check';
import {
  emptySummary,
  type AttemptRecord,
  type CommitRecord,
  type HeaderRecord,
  type LogRecord,
  type PlanRecord,
  type SealRecord,
  type TaskSummary,
} from '../../shared/model/commit';

/** One of each kind, with every field in use: the byte fixtures of format 2 are made of them. */
export const sampleRecords: Readonly<Record<string, LogRecord>> = {
  header: {
    kind: 'header',
    generation: 3,
    writer: 'worker-1/4711/6f1e0c9a',
    begunAtMs: 1_764_000_000_456,
    formatVersion: 2,
    afterCommit: 41,
    summary: summaryAfter(41, { cursor: { sequenceNumber: 100, index: 2 }, generation: 2 }),
    plan: { number: 7, hash: 'a1b2c3', buildId: '2026-11-30T10:00:00Z-6f1e0c9a' },
    base: {
      commit: 35,
      generation: 1,
      position: 4711,
      parts: [
        {
          name: 'snapshots/flights/v1/shape/000001764000000/7/000000000000035-0000-0badf00d',
          bytes: 1234,
          crc32: 0x0badf00d,
        },
        {
          name: 'snapshots/flights/v1/shape/000001764000000/7/000000000000035-0001-cafebabe',
          bytes: 0,
          crc32: 0xcafebabe,
        },
      ],
    },
  },
  'header-empty': {
    kind: 'header',
    generation: 0,
    writer: 'worker-1',
    begunAtMs: 0,
    formatVersion: 2,
    afterCommit: 0,
    summary: null,
    plan: null,
    base: null,
  },
  commit: {
    kind: 'commit',
    commit: 42,
    commitId: '6f1e0c9a-0000-4000-8000-00000000002a',
    writer: 'worker-1/4711/6f1e0c9a',
    committedAtMs: 1_764_000_000_123,
    processingTimeMs: 1_764_000_000_120,
    from: { sequenceNumber: 100, index: 2 },
    to: { sequenceNumber: 103, index: 0 },
    messages: 3,
    inputHash: 0xcafebabe,
    watermarkMs: 1_763_999_999_000,
    watermarkReason: 'events',
    ledger: { read: 6, emitted: 3, filtered: 1, late: 1, deadLettered: 1, gap: 4 },
    state: [
      { store: 'windows', bytes: Buffer.from('{"puts":[],"deletes":["ATL"]}') },
      { store: '$outbox:flights-by-origin', bytes: Buffer.alloc(0) },
    ],
    rows: [
      { table: 'airport_days', count: 1, lines: Buffer.from('["SEA","2026-11-24",2]') },
      { table: 'flights_clean', count: 2, lines: Buffer.from('["SEA",1]\n["Zürich ✈",null]') },
    ],
    outbox: [
      { exchange: 'flights-by-origin', partition: 2, count: 2, body: Buffer.from([0, 1, 2, 255]) },
      { exchange: 'flights-by-origin', partition: 3, count: 0, body: Buffer.alloc(0) },
    ],
    deadLetters: [
      {
        sequenceNumber: 101,
        index: 0,
        code: 'STREAM_EVENT_UNDECODABLE',
        message: 'not JSON: \ufffd "quoted" \u0000',
        operator: 'ingest',
        attempts: 1,
        enqueuedTimeMs: 1_764_000_000_000,
        payloadBase64: 'AP8=',
      },
    ],
    gaps: [
      { fromSequenceNumber: 96, toSequenceNumber: 99, reason: 'retention', events: 4 },
      { fromSequenceNumber: 0, toSequenceNumber: 9, reason: 'producer-missing', events: null },
    ],
    settledLetters: [
      {
        id: '12.3',
        verdict: {
          kind: 'redriven',
          atMs: 1_764_000_000_100,
          by: 'job 17',
          reason: 'the schema was wrong',
          end: 'late',
        },
      },
      { id: '12.4', verdict: { kind: 'discarded', atMs: 1, by: '', reason: 'test', end: null } },
    ],
    summary: summaryAfter(42, {
      cursor: { sequenceNumber: 103, index: 0 },
      committedAtMs: 1_764_000_000_123,
      generation: 3,
      blocks: 17,
      watermarkMs: 1_763_999_999_000,
    }),
  },
  'commit-tick': {
    ...commitNumber(1),
    watermarkMs: null,
    watermarkReason: 'idle',
    summary: { ...commitNumber(1).summary, watermarkMs: null },
  },
  plan: {
    kind: 'plan',
    writer: 'worker-2/4712/0c9a6f1e',
    writtenAtMs: 1_764_000_000_999,
    plan: { number: 8, hash: 'd4e5f6', buildId: 'b' },
  },
  attempt: {
    kind: 'attempt',
    writer: 'worker-2/4712/0c9a6f1e',
    startedAtMs: 1_764_000_001_000,
    from: { sequenceNumber: 103, index: 0 },
    attempt: 3,
    scope: 'events',
    count: 8,
    suspectMessages: 1,
    suspectEvents: 16,
  },
  seal: {
    kind: 'seal',
    writer: 'worker-1/4711/6f1e0c9a',
    sealedAtMs: 1_764_000_002_000,
    afterCommit: 42,
    isFinal: false,
  },
  'seal-final': {
    kind: 'seal',
    writer: 'worker-1/4711/6f1e0c9a',
    sealedAtMs: 1_764_000_003_000,
    afterCommit: 42,
    isFinal: true,
  },
};

/** A summary with every field in use. */
function summaryAfter(commit: number, change: Partial<TaskSummary>): TaskSummary {
  return {
    ...emptySummary,
    commit,
    epoch: 1_764_000_000_000,
    committedAtMs: 1_764_000_000_000,
    blocks: 12,
    generationBegunAtMs: 1_763_999_000_000,
    watermarkMs: 5,
    lastEnqueuedAtMs: 1_764_000_000_050,
    ledger: { read: 60, emitted: 30, filtered: 10, late: 10, deadLettered: 10, gap: 4 },
    late: { bars: 7, 'bars by day': 3 },
    deadLetters: 11,
    owedRows: [
      {
        table: 'flights_clean',
        ...{ fromCommit: 39, throughCommit: commit, sinceMs: 1_763_999_999_900 },
        ...{ untilMs: 1_764_000_000_123, rows: 12, bytes: 345 },
      },
    ],
    flushedThrough: { airport_days: 40, flights_clean: 38 },
    lastOutbox: { commit, atMs: 1_764_000_000_123 },
    outboxConfirmedThrough: 41,
    tick: { atCommit: 40, count: 2, isAtRest: true, isEnd: false },
    isFiringDue: true,
    nextTimerDueMs: -62_135_596_800_000,
    keys: 1_000_000,
    stateBytes: 123_456_789,
    planNumber: 7,
    promotion: {
      ...{ count: 2, noticedAtMs: 1_764_000_000_100, fromSequenceNumber: 90, readThrough: 95 },
      ...{ fromEnqueuedMs: null, isDeclared: true },
    },
    ...change,
  };
}

/** A plain commit of one message, for tests of the log rather than of its content. */
export function commitNumber(commit: number, writer = 'writer', generation = 0): CommitRecord {
  const ledger = { read: 1, emitted: 1, filtered: 0, late: 0, deadLettered: 0, gap: 0 };
  const committedAtMs = 1_764_000_000_000 + commit;
  const to = { sequenceNumber: commit, index: 0 };
  return {
    kind: 'commit',
    commit,
    commitId: `${writer}-${commit}`,
    writer,
    committedAtMs,
    processingTimeMs: committedAtMs,
    from: { sequenceNumber: commit - 1, index: 0 },
    to,
    messages: 1,
    inputHash: commit,
    watermarkMs: commit,
    watermarkReason: 'events',
    ledger,
    state: [],
    rows: [],
    outbox: [],
    deadLetters: [],
    settledLetters: [],
    gaps: [],
    summary: {
      ...emptySummary,
      ...{ commit, cursor: to, committedAtMs, generation, watermarkMs: commit },
      ledger: { ...ledger, read: commit, emitted: commit },
    },
  };
}

const count = fc.nat();
const integer = fc.maxSafeInteger();
/** As UTF-8 has it: a lone surrogate would come back as U+FFFD. */
const text = fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.toWellFormed());
const bytes = fc.uint8Array({ maxLength: 200 });
const cursor = fc.record({ sequenceNumber: integer, index: count }, { noNullPrototype: true });
const flag = fc.boolean();
const counts = fc.dictionary(
  text.filter((name) => name !== '__proto__'),
  count,
  { noNullPrototype: true, maxKeys: 3 },
);

const ledger = fc.record({
  read: count,
  emitted: count,
  filtered: count,
  late: count,
  deadLettered: count,
  gap: count,
});

const owedRows = fc.record({
  table: text,
  fromCommit: count,
  throughCommit: count,
  sinceMs: integer,
  untilMs: integer,
  rows: count,
  bytes: count,
});

const summary: fc.Arbitrary<TaskSummary> = fc.record({
  commit: count,
  cursor: fc.option(cursor),
  epoch: fc.maxSafeNat(),
  committedAtMs: integer,
  generation: count,
  blocks: count,
  generationBegunAtMs: integer,
  watermarkMs: fc.option(integer),
  lastEnqueuedAtMs: fc.option(integer),
  ledger,
  late: counts,
  deadLetters: count,
  owedRows: fc.array(owedRows, { maxLength: 2 }),
  flushedThrough: counts,
  lastOutbox: fc.option(fc.record({ commit: count, atMs: integer })),
  outboxConfirmedThrough: count,
  tick: fc.option(fc.record({ atCommit: count, count, isAtRest: flag, isEnd: flag })),
  isFiringDue: flag,
  nextTimerDueMs: fc.option(integer),
  keys: count,
  stateBytes: fc.option(fc.maxSafeNat()),
  planNumber: count,
  promotion: fc.option(
    fc.record({
      ...{ count, noticedAtMs: integer, fromSequenceNumber: integer, readThrough: integer },
      ...{ fromEnqueuedMs: fc.option(integer), isDeclared: fc.boolean() },
    }),
  ),
});

const verdict = fc.record({
  kind: fc.constantFrom('redriven', 'discarded'),
  atMs: integer,
  by: text,
  reason: text,
  end: fc.option(fc.constantFrom('emitted', 'filtered', 'late', 'deadLettered')),
});

const commit: fc.Arbitrary<CommitRecord> = fc
  .record({
    kind: fc.constant('commit' as const),
    commit: count,
    commitId: text,
    writer: text,
    committedAtMs: integer,
    processingTimeMs: integer,
    from: cursor,
    to: cursor,
    messages: count,
    inputHash: count,
    watermarkMs: fc.option(integer),
    watermarkReason: fc.constantFrom('events', 'idle', 'drain'),
    ledger,
    state: fc.array(fc.record({ store: text, bytes }), { maxLength: 3 }),
    rows: fc.array(fc.record({ table: text, count, lines: bytes }), { maxLength: 3 }),
    outbox: fc.array(fc.record({ exchange: text, partition: count, count, body: bytes }), {
      maxLength: 4,
    }),
    deadLetters: fc.array(
      fc.record({
        sequenceNumber: integer,
        index: count,
        code: text,
        message: text,
        operator: text,
        attempts: count,
        enqueuedTimeMs: integer,
        payloadBase64: fc.base64String(),
      }),
      { maxLength: 2 },
    ),
    settledLetters: fc.array(fc.record({ id: text, verdict }), { maxLength: 2 }),
    gaps: fc.array(
      fc.record({
        fromSequenceNumber: integer,
        toSequenceNumber: integer,
        reason: fc.constantFrom('retention', 'hub-recreated', 'producer-missing', 'hub-promoted'),
        events: fc.option(count),
      }),
      { maxLength: 2 },
    ),
    summary,
  })
  .map((record) => ({
    ...record,
    summary: {
      ...record.summary,
      commit: record.commit,
      cursor: record.to,
      committedAtMs: record.committedAtMs,
      watermarkMs: record.watermarkMs,
    },
  }));

const attempt: fc.Arbitrary<AttemptRecord> = fc.record({
  kind: fc.constant('attempt'),
  writer: text,
  startedAtMs: integer,
  from: cursor,
  attempt: count,
  scope: fc.constantFrom('messages', 'decoding', 'events'),
  count,
  suspectMessages: count,
  suspectEvents: count,
});

const taskPlan = fc.record({ number: count, hash: text, buildId: text });

const header: fc.Arbitrary<HeaderRecord> = fc.record({
  kind: fc.constant('header'),
  generation: count,
  writer: text,
  begunAtMs: integer,
  formatVersion: count,
  afterCommit: count,
  summary: fc.option(summary),
  plan: fc.option(taskPlan),
  base: fc.option(
    fc.record({
      commit: count,
      generation: count,
      position: count,
      parts: fc.array(fc.record({ name: text, bytes: count, crc32: count }), { maxLength: 3 }),
    }),
  ),
});

const plan: fc.Arbitrary<PlanRecord> = fc.record({
  kind: fc.constant('plan'),
  writer: text,
  writtenAtMs: integer,
  plan: taskPlan,
});

const seal: fc.Arbitrary<SealRecord> = fc.record({
  kind: fc.constant('seal'),
  writer: text,
  sealedAtMs: integer,
  afterCommit: count,
  isFinal: fc.boolean(),
});

/** Any record that a writer could make. */
export const anyRecord: fc.Arbitrary<LogRecord> = fc.oneof(
  { weight: 3, arbitrary: commit },
  attempt,
  plan,
  header,
  seal,
);

/** The record with its byte arrays as plain text: for comparing records from different buffers. */
export function comparable(record: LogRecord): unknown {
  if (record.kind !== 'commit') return record;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    ...record,
    state: record.state.map((section) => ({ ...section, bytes: hex(section.bytes) })),
    rows: record.rows.map((rows) => ({ ...rows, lines: hex(rows.lines) })),
    outbox: record.outbox.map((message) => ({ ...message, body: hex(message.body) })),
  };
}
