// Goal: one killing event among n is alone after a bounded number of deaths, and is dead-lettered;
// so is one message that kills whoever decodes it. Nobody decodes before it is written that they try.
// Method: a model of workers that die whenever what they try holds what kills.
import fc from 'fast-check';
import type { AttemptRecord } from '../../../shared/model/commit';
import { Attempts, type CommittedRange, type Try } from '../../../shared/task/attempts';

const all = { scope: 'messages', suspectEvents: 0 } as const;

function attemptBy(writer: string, tried: Partial<Try> = {}): AttemptRecord {
  return {
    kind: 'attempt',
    writer,
    startedAtMs: 0,
    from: { sequenceNumber: 0, index: 0 },
    ...all,
    ...{ count: 100, attempt: 1, suspectMessages: 100 },
    ...tried,
  };
}

const committed = (messages: number, read = messages, index = 0): CommittedRange => ({
  messages,
  to: { sequenceNumber: 0, index },
  ledger: { read },
});

/** The kind of what comes next is not the kind of the record. */
function withoutKind({ attempt, count, scope, suspectEvents, suspectMessages }: Try): Try {
  return { attempt, count, scope, suspectEvents, suspectMessages };
}

interface Place {
  message: number;
  index: number;
}

/** What kills: an event; or a message, as soon as it is decoded, where `index` is null. */
interface Killing {
  readonly message: number;
  readonly index: number | null;
}

class Life {
  readonly log: (AttemptRecord | CommittedRange)[] = [];
  readonly quarantined: Killing[] = [];
  at: Place = { message: 0, index: 0 };
  readonly #lengths: readonly number[];
  readonly #killing: Killing;

  /** @param lengths how many events each message holds */
  constructor(lengths: readonly number[], killing: Killing) {
    this.#lengths = lengths;
    this.#killing = killing;
  }

  /** One worker: replays the log, goes on until all is committed or it dies. */
  live(worker: number): 'died' | 'done' {
    const writer = `worker-${worker}`;
    const attempts = new Attempts(writer);
    for (const record of this.log) {
      if ('kind' in record) attempts.applyAttempt(record);
      else attempts.applyCommit(record);
    }
    const begin = (tried: Try): void => {
      const record = attemptBy(writer, tried);
      this.log.push(record);
      attempts.began(record);
    };
    while (this.at.message < this.#lengths.length) {
      const next = attempts.next(this.#lengths.length - this.at.message);
      if (next.kind === 'count') throw new Error('no commit is refused here');
      if (next.kind === 'quarantine') {
        const { index, message } = this.at;
        this.quarantined.push({ message, index: next.what === 'event' ? index : null });
        this.#commit(attempts, next.what === 'event' ? 1 : Infinity, 1);
        continue;
      }
      let run: Pick<Try, 'scope' | 'count'> = next;
      if (next.kind === 'try') begin(withoutKind(next));
      if (next.scope === 'decoding') {
        if (this.#isKilledByDecoding(1)) return 'died';
        const held = (this.#lengths[this.at.message] ?? 0) - this.at.index;
        run = attempts.counted(held);
        begin(attempts.counted(held));
      }
      const messages = run.scope === 'events' ? 1 : run.count;
      const events = run.scope === 'events' ? run.count : Infinity;
      if (this.#isKilledByDecoding(messages) || this.#isKilled(messages, events)) return 'died';
      this.#commit(attempts, events, messages);
    }
    return 'done';
  }

  #isKilledByDecoding(messages: number): boolean {
    const { index, message } = this.#killing;
    return index === null && message >= this.at.message && message < this.at.message + messages;
  }

  #isKilled(messages: number, events: number): boolean {
    const { index, message } = this.#killing;
    if (index === null || message < this.at.message) return false;
    if (message === this.at.message)
      return index >= this.at.index && index < this.at.index + events;
    return message < this.at.message + messages;
  }

  #commit(attempts: Attempts, events: number, messages: number): void {
    const held = this.#lengths[this.at.message] ?? 0;
    const isWithin = messages === 1 && this.at.index + events < held;
    this.at = isWithin
      ? { message: this.at.message, index: this.at.index + events }
      : { message: this.at.message + messages, index: 0 };
    const read = isWithin ? events : messages;
    const range = committed(messages, read, this.at.index);
    this.log.push(range);
    attempts.applyCommit(range);
  }
}

function run(lengths: readonly number[], killing: Killing): { deaths: number; life: Life } {
  const life = new Life(lengths, killing);
  let deaths = 0;
  while (life.live(deaths) === 'died') {
    deaths += 1;
    if (deaths > 100) throw new Error('it never ends');
  }
  return { deaths, life };
}

describe('Attempts', () => {
  it('isolates the killing event, and that one only, within 3 + log2 n + 1 deaths', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (total, random) => {
        const killing = { message: random % total, index: 0 };
        const { deaths, life } = run(new Array<number>(total).fill(1), killing);
        expect(life.quarantined).toEqual([killing]);
        expect(deaths).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(total)) + 1);
      }),
    );
  });

  it('isolates it in a message of many, and commits the others of that message', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(lengths, fc.nat(), fc.nat(), (held, first, second) => {
        const message = first % held.length;
        const killing = { message, index: second % (held[message] ?? 1) };
        const { deaths, life } = run(held, killing);
        expect(life.quarantined).toEqual([killing]);
        const halvings =
          Math.ceil(Math.log2(held.length)) + Math.ceil(Math.log2(held[message] ?? 1));
        expect(deaths).toBeLessThanOrEqual(3 + halvings + 2);
      }),
    );
  });

  it('gives up the message whole that kills whoever decodes it, and no other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        fc.nat(),
        (held, random) => {
          const killing = { message: random % held.length, index: null };
          const { deaths, life } = run(held, killing);
          expect(life.quarantined).toEqual([killing]);
          expect(deaths).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(held.length)) + 5);
        },
      ),
    );
  });

  it('takes up to four workers that ended while they decoded for no fault of the message', () => {
    const attempts = new Attempts('me');
    const decoding = { scope: 'decoding', count: 1, suspectMessages: 1 } as const;
    for (const [worker, attempt] of [3, 4, 5, 6].entries()) {
      attempts.applyAttempt(attemptBy(`worker-${worker}`, { ...decoding, attempt }));
    }
    expect(attempts.next(1)).toMatchObject({ kind: 'try', scope: 'decoding', attempt: 7 });
    attempts.applyAttempt(attemptBy('worker-5', { ...decoding, attempt: 7 }));
    expect(attempts.next(1)).toEqual({ kind: 'quarantine', what: 'message', attempts: 7 });
  });

  it('writes one attempt record when a worker takes a task over, and none in steady state', () => {
    const attempts = new Attempts('me');
    const tried = { ...all, attempt: 1, count: 100, suspectMessages: 100 };
    expect(attempts.next(100)).toEqual({ kind: 'try', ...tried });
    attempts.began(attemptBy('me'));
    attempts.applyCommit(committed(100));
    expect(attempts.next(50)).toEqual({ kind: 'plain', scope: 'messages', count: 50 });
  });

  it('counts again when another worker tries the range', () => {
    const attempts = new Attempts('me');
    attempts.began(attemptBy('me'));
    attempts.applyCommit(committed(100));
    attempts.applyAttempt(attemptBy('another'));
    const tried = { ...all, attempt: 2, count: 50, suspectMessages: 50 };
    expect(attempts.next(50)).toEqual({ kind: 'try', ...tried });
  });

  it('suspects no more than it did when a commit reads nothing', () => {
    const attempts = new Attempts('me');
    attempts.applyAttempt(attemptBy('other', { attempt: 3, count: 4, suspectMessages: 8 }));
    attempts.applyCommit({ messages: 0, to: { sequenceNumber: 5, index: 7 }, ledger: { read: 0 } });
    expect(attempts.next(100)).toMatchObject({ suspectMessages: 8 });
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
      const record = attemptBy(name, withoutKind(next));
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
    attempts.applyAttempt(attemptBy('me', { count: 8, attempt: 3, suspectMessages: 16 }));
    expect(attempts.next(1000)).toEqual({ kind: 'plain', scope: 'messages', count: 8 });
    attempts.applyAttempt(attemptBy('me', { scope: 'decoding', count: 1, attempt: 4 }));
    expect(attempts.next(1000)).toEqual({ kind: 'count' });
  });
});
