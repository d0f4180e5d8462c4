import fc from 'fast-check';
import type {
  AttemptRecord,
  CommitRecord,
  HeaderRecord,
  LogRecord,
  SealRecord,
} from '../../shared/model/commit';

/** One of each kind, with every field in use: the byte fixtures of format 1 are made of them. */
export const sampleRecords: Readonly<Record<string, LogRecord>> = {
  header: {
    kind: 'header',
    generation: 3,
    afterCommit: 41,
    snapshot: {
      name: 'snapshots/flights/shape/000001764000000/7/00000003-0badf00d',
      bytes: 1234,
      crc32: 0x0badf00d,
    },
  },
  'header-empty': { kind: 'header', generation: 0, afterCommit: 0, snapshot: null },
  commit: {
    kind: 'commit',
    commit: 42,
    commitId: '6f1e0c9a-0000-4000-8000-00000000002a',
    writer: 'worker-1/4711/6f1e0c9a',
    committedAtMs: 1_764_000_000_123,
    from: { sequenceNumber: 100, index: 2 },
    to: { sequenceNumber: 103, index: 0 },
    messages: 3,
    inputHash: 0xcafebabe,
    watermarkMs: 1_763_999_999_000,
    watermarkReason: 'events',
    ledger: { read: 6, emitted: 3, filtered: 1, late: 1, deadLettered: 1, gap: 4 },
    state: [
      { store: 'windows', puts: [['SEA|2026-11-24', { count: 2, worst: 31.5 }]], deletes: ['ATL'] },
      { store: '$task', puts: [['epoch', 1_764_000_000_000]], deletes: [] },
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
        message: 'not JSON: \ud83d "quoted" \u0000',
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
    outboxConfirmedThrough: 41,
    flushedThrough: { airport_days: 40, flights_clean: 38 },
  },
  'commit-tick': {
    ...commitNumber(1),
    watermarkMs: null,
    watermarkReason: 'idle',
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

/** A plain commit of one message, for tests of the log rather than of its content. */
export function commitNumber(commit: number, writer = 'writer'): CommitRecord {
  return {
    kind: 'commit',
    commit,
    commitId: `${writer}-${commit}`,
    writer,
    committedAtMs: 1_764_000_000_000 + commit,
    from: { sequenceNumber: commit - 1, index: 0 },
    to: { sequenceNumber: commit, index: 0 },
    messages: 1,
    inputHash: commit,
    watermarkMs: commit,
    watermarkReason: 'events',
    ledger: { read: 1, emitted: 1, filtered: 0, late: 0, deadLettered: 0, gap: 0 },
    state: [],
    rows: [],
    outbox: [],
    deadLetters: [],
    gaps: [],
    outboxConfirmedThrough: 0,
    flushedThrough: {},
  };
}

const count = fc.nat();
const integer = fc.maxSafeInteger();
const text = fc.string({ unit: 'binary', maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 200 });
const cursor = fc.record({ sequenceNumber: integer, index: count }, { noNullPrototype: true });

/** A JSON value as it comes back from JSON: no -0, no undefined. */
const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);

const commit: fc.Arbitrary<CommitRecord> = fc.record({
  kind: fc.constant('commit'),
  commit: count,
  commitId: text,
  writer: text,
  committedAtMs: integer,
  from: cursor,
  to: cursor,
  messages: count,
  inputHash: count,
  watermarkMs: fc.option(integer),
  watermarkReason: fc.constantFrom('events', 'idle', 'drain'),
  ledger: fc.record({
    read: count,
    emitted: count,
    filtered: count,
    late: count,
    deadLettered: count,
    gap: count,
  }),
  state: fc.array(
    fc.record({ store: text, puts: fc.array(fc.tuple(text, json)), deletes: fc.array(text) }),
    { maxLength: 3 },
  ),
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
  gaps: fc.array(
    fc.record({
      fromSequenceNumber: integer,
      toSequenceNumber: integer,
      reason: fc.constantFrom('retention', 'hub-recreated', 'producer-missing'),
      events: fc.option(count),
    }),
    { maxLength: 2 },
  ),
  outboxConfirmedThrough: count,
  flushedThrough: fc.dictionary(
    text.filter((name) => name !== '__proto__'),
    count,
    { noNullPrototype: true, maxKeys: 3 },
  ),
});

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

const header: fc.Arbitrary<HeaderRecord> = fc.record({
  kind: fc.constant('header'),
  generation: count,
  afterCommit: count,
  snapshot: fc.option(fc.record({ name: text, bytes: count, crc32: count })),
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
  header,
  seal,
);

/** The record with its byte arrays as plain text: for comparing records from different buffers. */
export function comparable(record: LogRecord): unknown {
  if (record.kind !== 'commit') return record;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    ...record,
    rows: record.rows.map((rows) => ({ ...rows, lines: hex(rows.lines) })),
    outbox: record.outbox.map((message) => ({ ...message, body: hex(message.body) })),
  };
}
