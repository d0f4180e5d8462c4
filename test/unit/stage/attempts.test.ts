// Goal: one killing event among n is alone after a bounded number of deaths, and is dead-lettered.
// Method: a model of workers that die whenever the range they try holds the killing event.
import fc from 'fast-check';
import type { AttemptRecord } from '../../../shared/model/commit';
import { Attempts } from '../../../shared/stage/attempts';

function attemptBy(writer: string): AttemptRecord {
  return {
    kind: 'attempt',
    writer,
    startedAtMs: 0,
    from: { sequenceNumber: 0, index: 0 },
    events: 100,
    attempt: 1,
    suspectEvents: 100,
  };
}

interface Life {
  readonly log: (AttemptRecord | { kind: 'commit'; events: number })[];
  committed: number;
  quarantined: number[];
}

/** One worker: replays the log, goes on until all is committed or it dies. */
function live(life: Life, worker: number, total: number, killing: number): 'died' | 'done' {
  const attempts = new Attempts(`worker-${worker}`);
  for (const record of life.log) {
    if (record.kind === 'attempt') attempts.applyAttempt(record);
    else attempts.applyCommit(record.events);
  }
  while (life.committed < total) {
    const available = total - life.committed;
    const next = attempts.next(available);
    let events = 1;
    if (next.kind === 'quarantine') {
      life.quarantined.push(life.committed);
    } else {
      events = Math.min(next.events, available);
      if (next.kind === 'try') {
        const record: AttemptRecord = {
          kind: 'attempt',
          writer: `worker-${worker}`,
          startedAtMs: 0,
          from: { sequenceNumber: life.committed, index: 0 },
          events: next.events,
          attempt: next.attempt,
          suspectEvents: next.suspectEvents,
        };
        life.log.push(record);
        attempts.began(record);
      }
      if (killing >= life.committed && killing < life.committed + events) return 'died';
    }
    life.committed += events;
    life.log.push({ kind: 'commit', events });
    attempts.applyCommit(events);
  }
  return 'done';
}

function run(total: number, killing: number): { deaths: number; quarantined: number[] } {
  const life: Life = { log: [], committed: 0, quarantined: [] };
  let deaths = 0;
  while (live(life, deaths, total, killing) === 'died') {
    deaths += 1;
    if (deaths > 100) throw new Error('it never ends');
  }
  return { deaths, quarantined: life.quarantined };
}

describe('Attempts', () => {
  it('isolates the killing event, and that one only, within 3 + log2 n + 1 deaths', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (total, random) => {
        const killing = random % total;
        const { deaths, quarantined } = run(total, killing);
        expect(quarantined).toEqual([killing]);
        expect(deaths).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(total)) + 1);
      }),
    );
  });

  it('writes one attempt record when a worker takes a task over, and none in steady state', () => {
    const attempts = new Attempts('me');
    expect(attempts.next(100)).toEqual({
      kind: 'try',
      attempt: 1,
      events: 100,
      suspectEvents: 100,
    });
    attempts.began(attemptBy('me'));
    attempts.applyCommit(100);
    expect(attempts.isSettled()).toBe(true);
    expect(attempts.next(50)).toEqual({ kind: 'plain', events: 50 });
  });

  it('counts events again when another worker tries the range, so that no record says null events', () => {
    const attempts = new Attempts('me');
    attempts.began(attemptBy('me'));
    attempts.applyCommit(100);
    expect(attempts.isSettled()).toBe(true);
    attempts.applyAttempt(attemptBy('another'));
    expect(attempts.isSettled()).toBe(false);
    expect(attempts.next(50)).toEqual({ kind: 'try', attempt: 2, events: 50, suspectEvents: 50 });
  });

  it('keeps two living workers from quarantining an innocent event while they refuse each other', () => {
    const workers = ['left', 'right'].map((name) => ({ name, attempts: new Attempts(name) }));
    const kinds: string[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      const { attempts, name } = workers[turn % 2] ?? { attempts: new Attempts(''), name: '' };
      const next = attempts.next(2);
      kinds.push(next.kind);
      if (next.kind !== 'try') continue;
      // Its commit is refused each time: the other one's record came between.
      const record = { ...attemptBy(name), ...next, kind: 'attempt' } as const;
      for (const worker of workers) {
        if (worker.name === name) worker.attempts.began(record);
        else worker.attempts.applyAttempt(record);
      }
    }
    expect(kinds.filter((kind) => kind === 'try')).toHaveLength(2);
    expect(kinds).not.toContain('quarantine');
  });

  it('does not take an attempt of this very process for a death', () => {
    const attempts = new Attempts('me');
    attempts.applyAttempt({
      kind: 'attempt',
      writer: 'me',
      startedAtMs: 0,
      from: { sequenceNumber: 0, index: 0 },
      events: 8,
      attempt: 3,
      suspectEvents: 16,
    });
    expect(attempts.next(1000)).toEqual({ kind: 'plain', events: 8 });
  });
});
