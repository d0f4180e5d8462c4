/**
 * The invariants of the reliability contract, in one place: what must hold, when the simulation
 * looks, and where. The oracle beside them (oracle.ts) shares no code with the engine.
 */
export const invariants = {
  I1: {
    holds:
      'Every event of a committed range is exactly one of emitted, filtered, late, dead-lettered.',
    checked:
      'at every commit: its ledger against what must become of each event in its range (source-task.ts, window-task.ts)',
  },
  I2: {
    holds: 'No message that the hub acknowledged is lost: it is committed, or declared in a gap.',
    checked:
      'at every commit: it begins where the last one ended, and a gap names only what the hub no longer holds (task-model.ts); at the end: every log has reached its hub’s end (simulation.ts)',
  },
  I3: {
    holds: 'Rows are in a table exactly once for readers of its Delta log.',
    checked:
      'at every table version: it adds the rows of just the commits between two txn versions, no file twice (lake-model.ts); at every commit: a dead letter is settled once (task-model.ts); at every job’s report: each unit of work is in it once (job-model.ts); at the end: the decoded rows (oracle.ts)',
  },
  I4: {
    holds:
      'Nothing is said to be done before it is: no commit ahead of its effects, no effect ahead of its commit.',
    checked:
      'at every commit and seal: what it confirms as sent or flushed is in the hub and the table; at every send and table version: the commit it comes from is in the log (outbox-model.ts, lake-model.ts)',
  },
  I5: {
    holds: 'What a fenced worker believes never becomes visible.',
    checked:
      'at every append: commit numbers, cursors and ordinals go on from what the log said in that moment, whoever appends (task-model.ts); at every claim: nobody else’s lease on that piece lasts (job-model.ts)',
  },
  I6: {
    holds: 'Per key the order is that of the source, and a key never changes its partition.',
    checked:
      'at every commit with an outbox: ordinals without holes, events of a partition in source order, one partition per key; at every send: one text per ordinal (source-task.ts, outbox-model.ts)',
  },
  I7: {
    holds: 'The output is a function of the log: any replay gives the same.',
    checked:
      'at every commit: the hash of its input and its rows against the model’s; at every snapshot: its position and totals (task-model.ts); at the end: the plain oracle (oracle.ts); the same seed twice (determinism.test.ts)',
  },
  I8: {
    holds:
      'A watermark never goes back, follows from the events alone or from a journalled tick, and no on-time event is dropped.',
    checked:
      'at every commit: its watermark and its count of late events against the model’s (source-task.ts, window-task.ts)',
  },
  I9: {
    holds: 'A dead letter is complete, and only what cannot succeed becomes one.',
    checked:
      'at every commit: position, code, bytes and attempts of each; an event that is quarantined as killing killed, or its worker had died (task-model.ts)',
  },
  I10: {
    holds:
      'Once faults cease, all input is processed, all windows close, all rows are flushed, in bounded time.',
    checked:
      'at the end: the run comes to rest within its limits of time and steps (simulation.ts)',
  },
  I11: {
    holds: 'A partition whose worker is gone goes on without it, and one append at a time counts.',
    checked:
      'as I5 at every append; as I10 after the last death. Seconds to recover are measured with real processes (test/fault/worker-death.test.ts)',
  },
  I12: {
    holds: 'Attempts, generations and calls are bounded.',
    checked:
      'at every attempt: their number on one range; at every append: records of a generation and bytes of a record (task-model.ts); at the end: steps (simulation.ts). Memory: npm run bench:memory',
  },
  I13: {
    holds: 'What is reported agrees with the ledger.',
    checked:
      'at the end: every tending that a worker says is written down is among the decisions (decisions.ts); the ledger recounted from the logs by `millrace ledger`’s reader against the model’s totals, and rows against emitted events (oracle.ts)',
  },
} as const;

export type Invariant = keyof typeof invariants;

export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export function holds(
  condition: boolean,
  invariant: Invariant,
  message: () => string,
): asserts condition {
  if (!condition) throw new InvariantBroken(invariant, message());
}

/** Compares as JSON: what is compared here is plain data. */
export function same(actual: unknown, expected: unknown, invariant: Invariant, what: string): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  holds(left === right, invariant, () => `${what}: is ${left}, must be ${right}`);
}
