import type { LogTail } from '../../commit-log/tail-reader';
import type { LogPosition } from '../../commit-log/log-reader';
import { emptySummary, type AttemptRecord, type TaskSummary } from '../../model/commit';

/**
 * What a surveyor says of a task: what its last commit says, and what came after it. Plain JSON: it is
 * stored between surveys, so that a log that nobody has written to since is not read again.
 */
export interface TaskDigest extends TaskSummary {
  /** The end of the log; null: there is none. */
  readonly next: LogPosition | null;
  /** Time of the newest generation's first record after its header; null: there is none. */
  readonly firstWriteMs: number | null;
  readonly isSealed: boolean;
  readonly writer: string | null;
  /** An attempt that nobody has committed after: its worker is at it, or died. */
  readonly openAttempt: Pick<AttemptRecord, 'attempt' | 'startedAtMs' | 'writer'> | null;
}

export const emptyDigest: TaskDigest = {
  ...emptySummary,
  next: null,
  firstWriteMs: null,
  isSealed: false,
  writer: null,
  openAttempt: null,
};

/** What the end of a log says of its task. */
export function digestTail(generation: number, { last, position, since }: LogTail): TaskDigest {
  const summary = last.summary ?? emptySummary;
  const isHeader = last.kind === 'header';
  const [first] = since;
  let openAttempt: TaskDigest['openAttempt'] = null;
  for (const record of since) {
    if (record.kind !== 'attempt') continue;
    const { attempt, startedAtMs, writer } = record;
    openAttempt = { attempt, startedAtMs, writer };
  }
  const firstAfterMs =
    first?.kind === 'attempt'
      ? first.startedAtMs
      : first?.kind === 'plan'
        ? first.writtenAtMs
        : null;
  return {
    ...summary,
    generation,
    blocks: (isHeader ? 1 : summary.blocks) + since.length,
    next: { generation, position },
    firstWriteMs: isHeader ? firstAfterMs : summary.generationBegunAtMs,
    isSealed: since.at(-1)?.kind === 'seal',
    writer: last.writer,
    openAttempt,
  };
}

/** Takes in what tables themselves say of flushes: the log hears of them with the next commit only. */
export function withFlushed(
  digest: TaskDigest,
  flushedThrough: Readonly<Record<string, number>>,
): TaskDigest {
  const owedRows = digest.owedRows.flatMap((owed) => {
    const through = flushedThrough[owed.table] ?? 0;
    if (through >= owed.throughCommit) return [];
    // How many of the rest are left is not known; they are no older than that.
    return through < owed.fromCommit
      ? [owed]
      : [{ ...owed, fromCommit: through + 1, sinceMs: owed.untilMs }];
  });
  return { ...digest, owedRows };
}
