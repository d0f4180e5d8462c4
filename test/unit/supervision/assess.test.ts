// Goal: what a task needs, and what a watchdog does, follow from the facts alone.
// Method: one case per rule and per side of its limit.
import {
  assess,
  type AssessLimits,
  type Need,
  type TaskFacts,
} from '../../../shared/supervision/survey/assess';
import { emptyDigest, type TaskDigest } from '../../../shared/supervision/survey/task-digest';
import { watch, type SupervisorLife } from '../../../shared/supervision/watchdog';

const nowMs = 1_000_000;
const drained = Number.MAX_SAFE_INTEGER;

const limits: AssessLimits = {
  nowMs,
  stallAfterMs: 15_000,
  graceMs: 4_000,
  ...{ isSource: true, quietAfterMs: 30_000 },
  isDraining: false,
  log: { blocksMax: 100, bytesMax: 10_000, ageMaxMs: 500_000 },
  tables: { rows: { rowsMax: 1_000, bytesMax: 1_000_000, ageMaxMs: 60_000 } },
};

const busy: TaskDigest = {
  ...emptyDigest,
  next: { generation: 0, position: 500 },
  blocks: 10,
  firstWriteMs: nowMs - 100_000,
  commit: 9,
  cursor: { sequenceNumber: 90, index: 0 },
  watermarkMs: 5,
  committedAtMs: nowMs - 1_000,
  writer: 'worker-1',
};

function needsOf(
  digest: Partial<TaskDigest>,
  facts: Partial<TaskFacts> = {},
  changed: Partial<AssessLimits> = {},
): readonly Need[] {
  const whole = {
    digest: { ...busy, ...digest },
    lagMessages: 0,
    isHubBehind: false,
    lagSinceMs: null,
    settledThrough: 0,
    recoveringAtCommit: null,
    ...facts,
  };
  return assess(whole, { ...limits, ...changed }).needs;
}

const waiting = { lagMessages: 5, lagSinceMs: nowMs - 20_000 };
const quietSince = (ms: number): Partial<TaskDigest> => ({ committedAtMs: nowMs - ms });
const owed = (ageMs: number): Partial<TaskDigest> => ({
  owedRows: [
    {
      table: 'rows',
      ...{ fromCommit: 7, throughCommit: 9, sinceMs: nowMs - ageMs, untilMs: nowMs },
      ...{ rows: 3, bytes: 30 },
    },
  ],
});
const attempt = (ageMs: number): Partial<TaskDigest> => ({
  openAttempt: { attempt: 2, startedAtMs: nowMs - ageMs, writer: 'worker-2' },
});

describe('a task', () => {
  const cases: [string, readonly Need[], Parameters<typeof needsOf>][] = [
    ['that commits needs nothing', [], [{}]],
    ['that commits although input waits needs nothing', [], [{}, waiting]],
    ['whose input waits is recovered', ['recover'], [quietSince(15_000), waiting]],
    ['is left alone before the stall time-out', [], [quietSince(14_999), waiting]],
    [
      'whose input only just came is left alone, however long it was quiet',
      [],
      [quietSince(25_000), { lagMessages: 5, lagSinceMs: nowMs - 1 }],
    ],
    [
      'that somebody has just begun to try is left alone',
      [],
      [{ ...quietSince(20_000), ...attempt(9_000) }, waiting],
    ],
    [
      'whose attempt got nowhere is recovered',
      ['recover'],
      [{ ...quietSince(20_000), ...attempt(15_000) }, waiting],
    ],
    [
      'that the supervisor was recovering is gone on with at once',
      ['recover'],
      [{}, { ...waiting, recoveringAtCommit: 9 }],
    ],
    [
      'that somebody else took up meanwhile is left to them',
      [],
      [{}, { ...waiting, recoveringAtCommit: 8 }],
    ],
    ['that is idle is ticked', ['tick'], [quietSince(34_000)]],
    ['that is idle is ticked by its holder first', [], [quietSince(33_999)]],
    [
      'that was ticked twice waits four times as long',
      [],
      [{ ...quietSince(100_000), tick: { atCommit: 9, count: 2, isAtRest: false, isEnd: false } }],
    ],
    [
      'whose source is not moved by wall clock is never ticked',
      [],
      [quietSince(90_000), {}, { quietAfterMs: null }],
    ],
    [
      'that left results due is looked after, also when it has ended or reads an exchange',
      ['tick'],
      [
        { ...quietSince(19_000), isFiringDue: true, watermarkMs: drained },
        {},
        { isDraining: true, isSource: false, quietAfterMs: null },
      ],
    ],
    [
      'that left results due gives them out itself first',
      [],
      [{ ...quietSince(18_999), isFiringDue: true }],
    ],
    ['whose rows are old is flushed', ['flush'], [owed(64_000)]],
    ['whose rows are due is flushed by its holder first', [], [owed(63_999)]],
    [
      'whose last outbox is unconfirmed sends again',
      ['resend'],
      [{ ...quietSince(19_000), lastOutbox: { commit: 9, atMs: nowMs - 19_000 } }],
    ],
    [
      'whose outbox the supervisor sent is left alone',
      [],
      [
        { ...quietSince(19_000), lastOutbox: { commit: 9, atMs: nowMs - 19_000 } },
        { settledThrough: 9 },
      ],
    ],
    [
      'whose log was sealed and not followed is rolled',
      ['roll'],
      [{ ...quietSince(5_000), isSealed: true }],
    ],
    ['whose log is full is rolled', ['roll'], [{ ...quietSince(5_000), blocks: 100 }]],
    ['that commits to a full log rolls it itself', [], [{ blocks: 100 }]],
    ['of an ending topology is drained', ['drain'], [{}, {}, { isDraining: true }]],
    ['of an ending topology with input is not, yet', [], [{}, waiting, { isDraining: true }]],
    [
      'that has ended and owes rows is flushed',
      ['drain'],
      [{ ...owed(1), watermarkMs: drained }, {}, { isDraining: true }],
    ],
    [
      'that has ended rests',
      [],
      [{ ...quietSince(90_000), watermarkMs: drained }, {}, { isDraining: true }],
    ],
  ];

  it.each(cases)('%s', (_name, needs, given) => {
    expect(needsOf(...given)).toEqual(needs);
  });
});

describe('the watchdog', () => {
  const now = { nowMs, stuckAfterMs: 60_000 };
  const life = (runtimeStatus: string, quietMs: number): SupervisorLife => ({
    runtimeStatus,
    lastUpdatedMs: nowMs - quietMs,
  });

  it.each([
    ['none', null, 'start'],
    ['one that failed', life('Failed', 1), 'start'],
    ['one that somebody ended', life('Terminated', 1), 'start'],
    ['one that moves', life('Running', 59_999), 'leave'],
    ['one that is stuck', life('Running', 60_000), 'replace'],
    ['one that never began', life('Pending', 60_000), 'replace'],
    ['one that an operator suspended', life('Suspended', 900_000), 'leave'],
  ] as const)('finds %s', (_name, found, kind) => {
    expect(watch(found, now).kind).toBe(kind);
  });
});
