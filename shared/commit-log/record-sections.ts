/**
 * What the sections of a record are, by type:
 *
 *   1 commit    2 summary     3 state: text store, then its bytes
 *   4 rows: text table, count, then lines      5 outbox: text exchange, partition, count, then body
 *   6 dead letters    7 gaps    8 settled letters: lists, left out where they are empty
 *   9 header    10 attempt    11 seal    12 plan
 *
 * A commit has 1 and 2 and any of 3 to 8; a header has 9 and perhaps 2; each other kind its own.
 */
import {
  compareCursors,
  type CommitRecord,
  type HeaderRecord,
  type LogRecord,
  type OutboxMessage,
  type StateSection,
  type TableRows,
  type TaskSummary,
} from '../model/commit';
import { StreamError } from '../model/errors';
import { FieldReader, FieldWriter, ShapeError } from './binary';
import { corruptLog, type LogPlace } from './corruption';
import {
  readAttempt,
  readCommitHead,
  readDeadLetter,
  readGap,
  readHeader,
  readPlanRecord,
  readSeal,
  readSettlement,
  readSummary,
  writeAttempt,
  writeCommitHead,
  writeDeadLetter,
  writeGap,
  writeHeader,
  writePlanRecord,
  writeSeal,
  writeSettlement,
  writeSummary,
  type CommitHead,
  type HeaderHead,
} from './record-fields';

const types = {
  commit: 1,
  summary: 2,
  state: 3,
  rows: 4,
  outbox: 5,
  deadLetters: 6,
  gaps: 7,
  settledLetters: 8,
  header: 9,
  attempt: 10,
  seal: 11,
  plan: 12,
} as const;

type SectionType = keyof typeof types;

const typeNames = new Map<number, SectionType>(
  Object.entries(types).map(([name, type]) => [type, name as SectionType]),
);

export interface Section {
  readonly type: number;
  /** Back to back. Bytes that are the caller's are not copied. */
  readonly bodies: readonly Uint8Array[];
  /** Who does not know the type goes on without it. */
  readonly isSkippable?: boolean;
}

export function sectionsOf(record: LogRecord): Section[] {
  const to = new FieldWriter();
  const own = (type: SectionType, ...bytes: Uint8Array[]): Section => ({
    type: types[type],
    bodies: [to.take(), ...bytes],
  });
  switch (record.kind) {
    case 'commit':
      return commitSections(record, to, own);
    case 'header':
      writeHeader(to, record);
      return [own('header'), ...(record.summary === null ? [] : summary(record.summary, to, own))];
    case 'attempt':
      writeAttempt(to, record);
      return [own('attempt')];
    case 'seal':
      writeSeal(to, record);
      return [own('seal')];
    case 'plan':
      writePlanRecord(to, record);
      return [own('plan')];
  }
}

type MakeSection = (type: SectionType, ...bytes: Uint8Array[]) => Section;

function summary(of: TaskSummary, to: FieldWriter, own: MakeSection): Section[] {
  writeSummary(to, of);
  return [own('summary')];
}

function commitSections(record: CommitRecord, to: FieldWriter, own: MakeSection): Section[] {
  writeCommitHead(to, record);
  const sections = [own('commit'), ...summary(record.summary, to, own)];
  for (const { bytes, store } of record.state) {
    to.text('store', store);
    sections.push(own('state', bytes));
  }
  for (const { count, lines, table } of record.rows) {
    to.text('table', table);
    to.count('count', count);
    sections.push(own('rows', lines));
  }
  for (const { body, count, exchange, partition } of record.outbox) {
    to.text('exchange', exchange);
    to.count('partition', partition);
    to.count('count', count);
    sections.push(own('outbox', body));
  }
  if (record.deadLetters.length > 0) {
    to.list('deadLetters', record.deadLetters, (letter) => writeDeadLetter(to, letter));
    sections.push(own('deadLetters'));
  }
  if (record.gaps.length > 0) {
    to.list('gaps', record.gaps, (gap) => writeGap(to, gap));
    sections.push(own('gaps'));
  }
  if (record.settledLetters.length > 0) {
    to.list('settledLetters', record.settledLetters, (letter) => writeSettlement(to, letter));
    sections.push(own('settledLetters'));
  }
  return sections;
}

/** What was read of a record so far. */
interface Parts {
  head: CommitHead | HeaderHead | LogRecord | null;
  summary: TaskSummary | null;
  readonly state: StateSection[];
  readonly rows: TableRows[];
  readonly outbox: OutboxMessage[];
  deadLetters: CommitRecord['deadLetters'];
  gaps: CommitRecord['gaps'];
  settledLetters: CommitRecord['settledLetters'];
}

/**
 * Puts a record together, taking nothing on trust: the checksum tells accidents, not forgeries.
 * @throws StreamError STREAM_LOG_CORRUPT naming the field that is wrong; STREAM_LOG_VERSION_UNKNOWN where a
 *   section of unknown type must be understood
 */
export function readSections(
  kind: LogRecord['kind'],
  sections: readonly Section[],
  place: LogPlace,
): LogRecord {
  const parts: Parts = {
    ...{ head: null, summary: null, state: [], rows: [], outbox: [] },
    ...{ deadLetters: [], gaps: [], settledLetters: [] },
  };
  const seen = new Set<SectionType>();
  for (const { bodies, isSkippable, type } of sections) {
    const name = typeNames.get(type);
    if (name === undefined) {
      if (isSkippable === true) continue;
      throw unknownSection(type, place);
    }
    try {
      if (seen.has(name) && !manyOf.has(name)) throw new ShapeError('there is a second one');
      if (!isOf(name, kind)) throw new ShapeError(`a ${kind} has none`);
      seen.add(name);
      readSection(name, new FieldReader(asBuffer(bodies[0])), parts);
    } catch (cause) {
      if (!(cause instanceof ShapeError)) throw cause;
      throw corruptLog(place, `its section ${name}: ${cause.message}`, cause);
    }
  }
  return assembled(kind, parts, place);
}

const manyOf: ReadonlySet<SectionType> = new Set(['state', 'rows', 'outbox']);
const ofCommits: ReadonlySet<SectionType> = new Set([
  ...['commit', 'summary', 'state', 'rows', 'outbox'],
  ...['deadLetters', 'gaps', 'settledLetters'],
] as SectionType[]);

function isOf(section: SectionType, kind: LogRecord['kind']): boolean {
  if (kind === 'commit') return ofCommits.has(section);
  return section === kind || (kind === 'header' && section === 'summary');
}

function readSection(name: SectionType, from: FieldReader, parts: Parts): void {
  switch (name) {
    case 'commit':
      parts.head = readCommitHead(from);
      break;
    case 'summary':
      parts.summary = readSummary(from);
      break;
    case 'state':
      parts.state.push({ store: from.text('store'), bytes: from.rest() });
      break;
    case 'rows':
      parts.rows.push({
        table: from.text('table'),
        count: from.count('count'),
        lines: from.rest(),
      });
      break;
    case 'outbox':
      parts.outbox.push({
        exchange: from.text('exchange'),
        partition: from.count('partition'),
        count: from.count('count'),
        body: from.rest(),
      });
      break;
    case 'deadLetters':
      parts.deadLetters = from.list('deadLetters', () => readDeadLetter(from));
      break;
    case 'gaps':
      parts.gaps = from.list('gaps', () => readGap(from));
      break;
    case 'settledLetters':
      parts.settledLetters = from.list('settledLetters', () => readSettlement(from));
      break;
    case 'header':
      parts.head = readHeader(from);
      break;
    case 'attempt':
      parts.head = readAttempt(from);
      break;
    case 'seal':
      parts.head = readSeal(from);
      break;
    case 'plan':
      parts.head = readPlanRecord(from);
      break;
  }
  from.end();
}

function assembled(kind: LogRecord['kind'], parts: Parts, place: LogPlace): LogRecord {
  const { head, summary, ...rest } = parts;
  if (head === null) throw corruptLog(place, `a ${kind} without its section ${kind}`);
  if (kind === 'commit') {
    if (summary === null) throw corruptLog(place, 'a commit without its section summary');
    const record: CommitRecord = { ...(head as CommitHead), ...rest, summary };
    const fault = contradiction(record);
    if (fault !== null) throw corruptLog(place, `its section summary: ${fault}`);
    return record;
  }
  if (kind === 'header') return { ...(head as HeaderHead), summary } satisfies HeaderRecord;
  return head as LogRecord;
}

/** What of a commit's summary is not the commit's own; null: nothing. */
function contradiction({ commit, summary, to, ...record }: CommitRecord): string | null {
  if (summary.commit !== commit) return `commit is ${summary.commit}, the commit is ${commit}`;
  if (summary.cursor === null || compareCursors(summary.cursor, to) !== 0) {
    return 'cursor is not where the commit ends';
  }
  if (summary.watermarkMs !== record.watermarkMs) return 'watermarkMs is not the commit’s';
  return summary.committedAtMs === record.committedAtMs
    ? null
    : 'committedAtMs is not the commit’s';
}

function asBuffer(bytes: Uint8Array | undefined): Buffer {
  return bytes === undefined
    ? Buffer.alloc(0)
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unknownSection(type: number, place: LogPlace): StreamError {
  return new StreamError(
    'STREAM_LOG_VERSION_UNKNOWN',
    `${place.blob} at byte ${place.position}: the record has a section of type ${type}, which this ` +
      'build does not know and may not leave out: deploy the newer build again',
    { details: { ...place, type } },
  );
}
