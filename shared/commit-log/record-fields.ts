/** The fields of each kind of section, in the order in which they are written. */
import type {
  AttemptRecord,
  CommitRecord,
  Cursor,
  DeadLetter,
  EventEnd,
  Gap,
  HeaderRecord,
  LedgerCounts,
  LetterSettlement,
  OwedRows,
  PlanRecord,
  Promotion,
  SealRecord,
  SnapshotPart,
  TaskPlan,
  TaskSummary,
  Tick,
} from '../model/commit';
import type { FieldReader, FieldWriter } from './binary';

// New choices go to the end: the place of one is what stands in the log.
const reasons = ['events', 'idle', 'drain'] as const;
const scopes = ['messages', 'decoding', 'events'] as const;
const gapReasons = ['retention', 'hub-recreated', 'producer-missing', 'hub-promoted'] as const;
const verdictKinds = ['redriven', 'discarded'] as const;
const ends = ['emitted', 'filtered', 'late', 'deadLettered'] as const satisfies EventEnd[];

/** The commit's own fields: all but its byte arrays, lists and summary, which have sections of theirs. */
export type CommitHead = Omit<
  CommitRecord,
  'state' | 'rows' | 'outbox' | 'deadLetters' | 'settledLetters' | 'gaps' | 'summary'
>;

export function writeCommitHead(to: FieldWriter, head: CommitHead): void {
  to.count('commit', head.commit);
  to.text('commitId', head.commitId);
  to.text('writer', head.writer);
  to.integer('committedAtMs', head.committedAtMs);
  to.integer('processingTimeMs', head.processingTimeMs);
  writeCursor(to, 'from', head.from);
  writeCursor(to, 'to', head.to);
  to.count('messages', head.messages);
  to.count('inputHash', head.inputHash);
  writeNullableInteger(to, 'watermarkMs', head.watermarkMs);
  to.choice('watermarkReason', reasons, head.watermarkReason);
  writeLedger(to, 'ledger', head.ledger);
}

export function readCommitHead(from: FieldReader): CommitHead {
  return {
    kind: 'commit',
    commit: from.count('commit'),
    commitId: from.text('commitId'),
    writer: from.text('writer'),
    committedAtMs: from.integer('committedAtMs'),
    processingTimeMs: from.integer('processingTimeMs'),
    from: readCursor(from, 'from'),
    to: readCursor(from, 'to'),
    messages: from.count('messages'),
    inputHash: from.count('inputHash'),
    watermarkMs: readNullableInteger(from, 'watermarkMs'),
    watermarkReason: from.choice('watermarkReason', reasons),
    ledger: readLedger(from, 'ledger'),
  };
}

export function writeSummary(to: FieldWriter, summary: TaskSummary): void {
  to.count('commit', summary.commit);
  to.nullable('cursor', summary.cursor, (name, cursor) => writeCursor(to, name, cursor));
  to.count('epoch', summary.epoch);
  to.integer('committedAtMs', summary.committedAtMs);
  to.count('generation', summary.generation);
  to.count('blocks', summary.blocks);
  to.integer('generationBegunAtMs', summary.generationBegunAtMs);
  writeNullableInteger(to, 'watermarkMs', summary.watermarkMs);
  writeNullableInteger(to, 'lastEnqueuedAtMs', summary.lastEnqueuedAtMs);
  writeLedger(to, 'ledger', summary.ledger);
  writeCounts(to, 'late', summary.late);
  to.count('deadLetters', summary.deadLetters);
  to.list('owedRows', summary.owedRows, (owed) => writeOwedRows(to, owed));
  writeCounts(to, 'flushedThrough', summary.flushedThrough);
  to.nullable('lastOutbox', summary.lastOutbox, (name, { atMs, commit }) => {
    to.count(`${name}.commit`, commit);
    to.integer(`${name}.atMs`, atMs);
  });
  to.count('outboxConfirmedThrough', summary.outboxConfirmedThrough);
  to.nullable('tick', summary.tick, (name, tick) => writeTick(to, name, tick));
  to.flag('isFiringDue', summary.isFiringDue);
  writeNullableInteger(to, 'nextTimerDueMs', summary.nextTimerDueMs);
  to.count('keys', summary.keys);
  to.nullable('stateBytes', summary.stateBytes, (name, bytes) => to.count(name, bytes));
  to.count('planNumber', summary.planNumber);
  to.nullable('promotion', summary.promotion, (name, one) => writePromotion(to, name, one));
}

export function readSummary(from: FieldReader): TaskSummary {
  return {
    commit: from.count('commit'),
    cursor: from.nullable('cursor', (name) => readCursor(from, name)),
    epoch: from.count('epoch'),
    committedAtMs: from.integer('committedAtMs'),
    generation: from.count('generation'),
    blocks: from.count('blocks'),
    generationBegunAtMs: from.integer('generationBegunAtMs'),
    watermarkMs: readNullableInteger(from, 'watermarkMs'),
    lastEnqueuedAtMs: readNullableInteger(from, 'lastEnqueuedAtMs'),
    ledger: readLedger(from, 'ledger'),
    late: readCounts(from, 'late'),
    deadLetters: from.count('deadLetters'),
    owedRows: from.list('owedRows', () => readOwedRows(from)),
    flushedThrough: readCounts(from, 'flushedThrough'),
    lastOutbox: from.nullable('lastOutbox', (name) => ({
      commit: from.count(`${name}.commit`),
      atMs: from.integer(`${name}.atMs`),
    })),
    outboxConfirmedThrough: from.count('outboxConfirmedThrough'),
    tick: from.nullable('tick', (name) => readTick(from, name)),
    isFiringDue: from.flag('isFiringDue'),
    nextTimerDueMs: readNullableInteger(from, 'nextTimerDueMs'),
    keys: from.count('keys'),
    stateBytes: from.nullable('stateBytes', (name) => from.count(name)),
    planNumber: from.count('planNumber'),
    promotion: from.nullable('promotion', (name) => readPromotion(from, name)),
  };
}

function writePromotion(to: FieldWriter, name: string, promotion: Promotion): void {
  to.count(`${name}.count`, promotion.count);
  to.integer(`${name}.noticedAtMs`, promotion.noticedAtMs);
  to.integer(`${name}.fromSequenceNumber`, promotion.fromSequenceNumber);
  to.integer(`${name}.readThrough`, promotion.readThrough);
  writeNullableInteger(to, `${name}.fromEnqueuedMs`, promotion.fromEnqueuedMs);
  to.flag(`${name}.isDeclared`, promotion.isDeclared);
}

function readPromotion(from: FieldReader, name: string): Promotion {
  return {
    count: from.count(`${name}.count`),
    noticedAtMs: from.integer(`${name}.noticedAtMs`),
    fromSequenceNumber: from.integer(`${name}.fromSequenceNumber`),
    readThrough: from.integer(`${name}.readThrough`),
    fromEnqueuedMs: readNullableInteger(from, `${name}.fromEnqueuedMs`),
    isDeclared: from.flag(`${name}.isDeclared`),
  };
}

function writeOwedRows(to: FieldWriter, owed: OwedRows): void {
  to.text('owedRows.table', owed.table);
  to.count('owedRows.fromCommit', owed.fromCommit);
  to.count('owedRows.throughCommit', owed.throughCommit);
  to.integer('owedRows.sinceMs', owed.sinceMs);
  to.integer('owedRows.untilMs', owed.untilMs);
  to.count('owedRows.rows', owed.rows);
  to.count('owedRows.bytes', owed.bytes);
}

function readOwedRows(from: FieldReader): OwedRows {
  return {
    table: from.text('owedRows.table'),
    fromCommit: from.count('owedRows.fromCommit'),
    throughCommit: from.count('owedRows.throughCommit'),
    sinceMs: from.integer('owedRows.sinceMs'),
    untilMs: from.integer('owedRows.untilMs'),
    rows: from.count('owedRows.rows'),
    bytes: from.count('owedRows.bytes'),
  };
}

function writeTick(to: FieldWriter, name: string, tick: Tick): void {
  to.count(`${name}.atCommit`, tick.atCommit);
  to.count(`${name}.count`, tick.count);
  to.flag(`${name}.isAtRest`, tick.isAtRest);
  to.flag(`${name}.isEnd`, tick.isEnd);
}

function readTick(from: FieldReader, name: string): Tick {
  return {
    atCommit: from.count(`${name}.atCommit`),
    count: from.count(`${name}.count`),
    isAtRest: from.flag(`${name}.isAtRest`),
    isEnd: from.flag(`${name}.isEnd`),
  };
}

export function writeDeadLetter(to: FieldWriter, letter: DeadLetter): void {
  to.integer('sequenceNumber', letter.sequenceNumber);
  to.count('index', letter.index);
  to.text('code', letter.code);
  to.text('message', letter.message);
  to.text('operator', letter.operator);
  to.count('attempts', letter.attempts);
  to.integer('enqueuedTimeMs', letter.enqueuedTimeMs);
  to.text('payloadBase64', letter.payloadBase64);
}

export function readDeadLetter(from: FieldReader): DeadLetter {
  return {
    sequenceNumber: from.integer('sequenceNumber'),
    index: from.count('index'),
    code: from.text('code'),
    message: from.text('message'),
    operator: from.text('operator'),
    attempts: from.count('attempts'),
    enqueuedTimeMs: from.integer('enqueuedTimeMs'),
    payloadBase64: from.text('payloadBase64'),
  };
}

export function writeSettlement(to: FieldWriter, { id, verdict }: LetterSettlement): void {
  to.text('id', id);
  to.choice('kind', verdictKinds, verdict.kind);
  to.integer('atMs', verdict.atMs);
  to.text('by', verdict.by);
  to.text('reason', verdict.reason);
  to.nullable('end', verdict.end, (name, end) => to.choice(name, ends, end));
}

export function readSettlement(from: FieldReader): LetterSettlement {
  return {
    id: from.text('id'),
    verdict: {
      kind: from.choice('kind', verdictKinds),
      atMs: from.integer('atMs'),
      by: from.text('by'),
      reason: from.text('reason'),
      end: from.nullable('end', (name) => from.choice(name, ends)),
    },
  };
}

export function writeGap(to: FieldWriter, gap: Gap): void {
  to.integer('fromSequenceNumber', gap.fromSequenceNumber);
  to.integer('toSequenceNumber', gap.toSequenceNumber);
  to.choice('reason', gapReasons, gap.reason);
  to.nullable('events', gap.events, (name, events) => to.count(name, events));
}

export function readGap(from: FieldReader): Gap {
  return {
    fromSequenceNumber: from.integer('fromSequenceNumber'),
    toSequenceNumber: from.integer('toSequenceNumber'),
    reason: from.choice('reason', gapReasons),
    events: from.nullable('events', (name) => from.count(name)),
  };
}

export function writeAttempt(to: FieldWriter, record: AttemptRecord): void {
  to.text('writer', record.writer);
  to.integer('startedAtMs', record.startedAtMs);
  writeCursor(to, 'from', record.from);
  to.count('attempt', record.attempt);
  to.choice('scope', scopes, record.scope);
  to.count('count', record.count);
  to.count('suspectMessages', record.suspectMessages);
  to.count('suspectEvents', record.suspectEvents);
}

export function readAttempt(from: FieldReader): AttemptRecord {
  return {
    kind: 'attempt',
    writer: from.text('writer'),
    startedAtMs: from.integer('startedAtMs'),
    from: readCursor(from, 'from'),
    attempt: from.count('attempt'),
    scope: from.choice('scope', scopes),
    count: from.count('count'),
    suspectMessages: from.count('suspectMessages'),
    suspectEvents: from.count('suspectEvents'),
  };
}

export function writePlanRecord(to: FieldWriter, record: PlanRecord): void {
  to.text('writer', record.writer);
  to.integer('writtenAtMs', record.writtenAtMs);
  writePlan(to, 'plan', record.plan);
}

export function readPlanRecord(from: FieldReader): PlanRecord {
  return {
    kind: 'plan',
    writer: from.text('writer'),
    writtenAtMs: from.integer('writtenAtMs'),
    plan: readPlan(from, 'plan'),
  };
}

function writePlan(to: FieldWriter, name: string, plan: TaskPlan): void {
  to.count(`${name}.number`, plan.number);
  to.text(`${name}.hash`, plan.hash);
  to.text(`${name}.buildId`, plan.buildId);
}

function readPlan(from: FieldReader, name: string): TaskPlan {
  return {
    number: from.count(`${name}.number`),
    hash: from.text(`${name}.hash`),
    buildId: from.text(`${name}.buildId`),
  };
}

/** The header's own fields; its summary has a section of its own. */
export type HeaderHead = Omit<HeaderRecord, 'summary'>;

export function writeHeader(to: FieldWriter, record: HeaderHead): void {
  // First, and in this place for ever: what follows may be another version's.
  to.count('formatVersion', record.formatVersion);
  to.count('generation', record.generation);
  to.text('writer', record.writer);
  to.integer('begunAtMs', record.begunAtMs);
  to.count('afterCommit', record.afterCommit);
  to.nullable('plan', record.plan, (name, plan) => writePlan(to, name, plan));
  to.nullable('base', record.base, (name, base) => {
    to.count(`${name}.commit`, base.commit);
    to.count(`${name}.generation`, base.generation);
    to.count(`${name}.position`, base.position);
    to.list(`${name}.parts`, base.parts, (part) => writePart(to, part));
  });
}

export function readHeader(from: FieldReader): HeaderHead {
  return {
    kind: 'header',
    formatVersion: from.count('formatVersion'),
    generation: from.count('generation'),
    writer: from.text('writer'),
    begunAtMs: from.integer('begunAtMs'),
    afterCommit: from.count('afterCommit'),
    plan: from.nullable('plan', (name) => readPlan(from, name)),
    base: from.nullable('base', (name) => ({
      commit: from.count(`${name}.commit`),
      generation: from.count(`${name}.generation`),
      position: from.count(`${name}.position`),
      parts: from.list(`${name}.parts`, () => readPart(from)),
    })),
  };
}

function writePart(to: FieldWriter, part: SnapshotPart): void {
  to.text('part.name', part.name);
  to.count('part.bytes', part.bytes);
  to.count('part.crc32', part.crc32);
}

function readPart(from: FieldReader): SnapshotPart {
  return {
    name: from.text('part.name'),
    bytes: from.count('part.bytes'),
    crc32: from.count('part.crc32'),
  };
}

export function writeSeal(to: FieldWriter, record: SealRecord): void {
  to.text('writer', record.writer);
  to.integer('sealedAtMs', record.sealedAtMs);
  to.count('afterCommit', record.afterCommit);
  to.flag('isFinal', record.isFinal);
}

export function readSeal(from: FieldReader): SealRecord {
  return {
    kind: 'seal',
    writer: from.text('writer'),
    sealedAtMs: from.integer('sealedAtMs'),
    afterCommit: from.count('afterCommit'),
    isFinal: from.flag('isFinal'),
  };
}

function writeCursor(to: FieldWriter, name: string, cursor: Cursor): void {
  to.integer(`${name}.sequenceNumber`, cursor.sequenceNumber);
  to.count(`${name}.index`, cursor.index);
}

function readCursor(from: FieldReader, name: string): Cursor {
  return {
    sequenceNumber: from.integer(`${name}.sequenceNumber`),
    index: from.count(`${name}.index`),
  };
}

function writeLedger(to: FieldWriter, name: string, ledger: LedgerCounts): void {
  to.count(`${name}.read`, ledger.read);
  to.count(`${name}.emitted`, ledger.emitted);
  to.count(`${name}.filtered`, ledger.filtered);
  to.count(`${name}.late`, ledger.late);
  to.count(`${name}.deadLettered`, ledger.deadLettered);
  to.count(`${name}.gap`, ledger.gap);
}

function readLedger(from: FieldReader, name: string): LedgerCounts {
  return {
    read: from.count(`${name}.read`),
    emitted: from.count(`${name}.emitted`),
    filtered: from.count(`${name}.filtered`),
    late: from.count(`${name}.late`),
    deadLettered: from.count(`${name}.deadLettered`),
    gap: from.count(`${name}.gap`),
  };
}

function writeCounts(
  to: FieldWriter,
  name: string,
  counts: Readonly<Record<string, number>>,
): void {
  to.list(name, Object.entries(counts), ([key, count]) => {
    to.text(`${name}.name`, key);
    to.count(`${name}.${key}`, count);
  });
}

function readCounts(from: FieldReader, name: string): Record<string, number> {
  const pairs = from.list(name, () => {
    const key = from.text(`${name}.name`);
    return [key, from.count(`${name}.${key}`)] as const;
  });
  return Object.fromEntries(pairs);
}

function writeNullableInteger(to: FieldWriter, name: string, value: number | null): void {
  to.nullable(name, value, (field, integer) => to.integer(field, integer));
}

function readNullableInteger(from: FieldReader, name: string): number | null {
  return from.nullable(name, (field) => from.integer(field));
}
