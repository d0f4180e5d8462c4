import type {
  AttemptRecord,
  CommitRecord,
  Cursor,
  DeadLetter,
  Gap,
  HeaderRecord,
  LedgerCounts,
  LogRecord,
  SealRecord,
  StateChange,
} from '../model/commit';
import { invariant } from '../model/errors';
import { corruptLog, type LogPlace } from './corruption';
import { FieldReader, ShapeError } from './field-reader';

/** What a header says of one byte array behind it. */
export type SectionDescription =
  | {
      readonly type: 'rows';
      readonly name: string;
      readonly count: number;
      readonly length: number;
    }
  | {
      readonly type: 'outbox';
      readonly name: string;
      readonly partition: number;
      readonly count: number;
      readonly length: number;
    };

/** A record as its JSON header has it: a commit's byte arrays come from the sections. */
export interface DecodedHeader {
  readonly record: LogRecord;
  readonly sections: readonly SectionDescription[];
}

/**
 * Reads a record's JSON header, taking nothing on trust: the checksum tells accidents, not forgeries.
 * @throws StreamError STREAM_LOG_CORRUPT naming the field that is wrong
 */
export function readHeaderJson(json: string, place: LogPlace): DecodedHeader {
  try {
    const fields = FieldReader.of(JSON.parse(json));
    return readRecord(fields);
  } catch (cause) {
    if (cause instanceof ShapeError) throw corruptLog(place, `its header: ${cause.message}`, cause);
    if (cause instanceof SyntaxError) throw corruptLog(place, 'its header is not JSON', cause);
    throw cause;
  }
}

/**
 * Refuses to write what `readHeaderJson` would refuse to read: a log with one such record in it
 * could never be opened again.
 */
export function assertReadable(header: object): void {
  try {
    readRecord(FieldReader.of(header));
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    invariant(false, `a record is written only if it can be read: ${cause.message}`);
  }
}

function readRecord(fields: FieldReader): DecodedHeader {
  const kind = fields.text('kind');
  switch (kind) {
    case 'commit':
      return { record: readCommit(fields), sections: fields.list('sections', readSection) };
    case 'attempt':
      return { record: readAttempt(fields), sections: [] };
    case 'header':
      return { record: readGenerationHeader(fields), sections: [] };
    case 'seal':
      return { record: readSeal(fields), sections: [] };
    default:
      throw new ShapeError(`kind is ${JSON.stringify(kind)}`);
  }
}

function readCommit(fields: FieldReader): CommitRecord {
  return {
    kind: 'commit',
    commit: fields.count('commit'),
    commitId: fields.text('commitId'),
    writer: fields.text('writer'),
    committedAtMs: fields.integer('committedAtMs'),
    from: readCursor(fields.object('from')),
    to: readCursor(fields.object('to')),
    messages: fields.count('messages'),
    inputHash: fields.count('inputHash'),
    watermarkMs: fields.nullable('watermarkMs', (name) => fields.integer(name)),
    watermarkReason: fields.oneOf('watermarkReason', ['events', 'idle', 'drain']),
    ledger: readLedger(fields.object('ledger')),
    state: fields.list('state', readStateChange),
    rows: [],
    outbox: [],
    deadLetters: fields.list('deadLetters', readDeadLetter),
    gaps: fields.list('gaps', readGap),
    outboxConfirmedThrough: fields.count('outboxConfirmedThrough'),
    flushedThrough: fields.object('flushedThrough').counts(),
  };
}

function readAttempt(fields: FieldReader): AttemptRecord {
  return {
    kind: 'attempt',
    writer: fields.text('writer'),
    startedAtMs: fields.integer('startedAtMs'),
    from: readCursor(fields.object('from')),
    attempt: fields.count('attempt'),
    scope: fields.oneOf('scope', ['messages', 'decoding', 'events']),
    count: fields.count('count'),
    suspectMessages: fields.count('suspectMessages'),
    suspectEvents: fields.count('suspectEvents'),
  };
}

function readGenerationHeader(fields: FieldReader): HeaderRecord {
  return {
    kind: 'header',
    generation: fields.count('generation'),
    afterCommit: fields.count('afterCommit'),
    snapshot: fields.nullable('snapshot', (name) => {
      const snapshot = fields.object(name);
      return {
        name: snapshot.text('name'),
        bytes: snapshot.count('bytes'),
        crc32: snapshot.count('crc32'),
      };
    }),
  };
}

function readSeal(fields: FieldReader): SealRecord {
  return {
    kind: 'seal',
    writer: fields.text('writer'),
    sealedAtMs: fields.integer('sealedAtMs'),
    afterCommit: fields.count('afterCommit'),
    isFinal: fields.flag('isFinal'),
  };
}

function readSection(fields: FieldReader): SectionDescription {
  const type = fields.oneOf('type', ['rows', 'outbox']);
  const common = {
    name: fields.text('name'),
    count: fields.count('count'),
    length: fields.count('length'),
  };
  if (type === 'rows') return { type, ...common };
  return { type, ...common, partition: fields.count('partition') };
}

function readCursor(fields: FieldReader): Cursor {
  return { sequenceNumber: fields.integer('sequenceNumber'), index: fields.count('index') };
}

function readLedger(fields: FieldReader): LedgerCounts {
  return {
    read: fields.count('read'),
    emitted: fields.count('emitted'),
    filtered: fields.count('filtered'),
    late: fields.count('late'),
    deadLettered: fields.count('deadLettered'),
    gap: fields.count('gap'),
  };
}

function readStateChange(fields: FieldReader): StateChange {
  return {
    store: fields.text('store'),
    puts: fields.pairs('puts'),
    deletes: fields.texts('deletes'),
  };
}

function readDeadLetter(fields: FieldReader): DeadLetter {
  return {
    sequenceNumber: fields.integer('sequenceNumber'),
    index: fields.count('index'),
    code: fields.text('code'),
    message: fields.text('message'),
    operator: fields.text('operator'),
    attempts: fields.count('attempts'),
    enqueuedTimeMs: fields.integer('enqueuedTimeMs'),
    payloadBase64: fields.text('payloadBase64'),
  };
}

function readGap(fields: FieldReader): Gap {
  return {
    fromSequenceNumber: fields.integer('fromSequenceNumber'),
    toSequenceNumber: fields.integer('toSequenceNumber'),
    reason: fields.oneOf('reason', ['retention', 'hub-recreated', 'producer-missing']),
    events: fields.nullable('events', (name) => fields.count(name)),
  };
}
