// Goal: what would pass a limit is refused before anything is done, with the cure in the words.
import { StreamError } from '../../../shared/model/errors';
import { StateBudget } from '../../../shared/state/state-budget';

const task = { stage: 'clean', partition: '0' };
const size = (bytes: number, memoryBytes = bytes) => ({ bytes, memoryBytes });

function codeOf(work: () => void): string {
  try {
    work();
    return 'none';
  } catch (error) {
    expect(error).toBeInstanceOf(StreamError);
    expect((error as StreamError).details).toMatchObject(task);
    return (error as StreamError).code;
  }
}

describe('the memory that tasks share', () => {
  it('refuses a task more than its own limit, and exactly beyond it', () => {
    const account = new StateBudget({ taskBytesMax: 100, processBytesMax: 10_000 }).open(task);
    expect(codeOf(() => account.assertFits(size(100)))).toBe('none');
    expect(codeOf(() => account.assertFits(size(101)))).toBe('STREAM_STATE_TOO_LARGE');
    expect(() => account.assertFits(size(101))).toThrow(/MILLRACE_STATE_BYTES_MAX/);
  });

  it('lets a task over a limit that was lowered get smaller, and no larger', () => {
    const account = new StateBudget({ taskBytesMax: 100, processBytesMax: 100 }).open(task);
    account.holds(size(500));
    expect(codeOf(() => account.assertFits(size(499)))).toBe('none');
    expect(codeOf(() => account.assertFits(size(501)))).toBe('STREAM_STATE_TOO_LARGE');
  });

  it('refuses a task that has no room beside the others until one of them is let go', () => {
    const budget = new StateBudget({ taskBytesMax: 1_000, processBytesMax: 100 });
    const first = budget.open(task);
    first.holds(size(30, 60));
    const second = budget.open(task);
    expect(codeOf(() => second.assertFits(size(1, 40)))).toBe('none');
    expect(codeOf(() => second.assertFits(size(1, 41)))).toBe('STREAM_WORKER_FULL');
    expect(() => second.assertFits(size(1, 41))).toThrow(/more workers.*larger instances.*windows/);
    first.close();
    first.close();
    expect(codeOf(() => second.assertFits(size(1, 100)))).toBe('none');
    expect(budget.memoryBytes).toBe(0);
  });

  it('asks for larger instances, not for more of them, where one task alone fills a worker', () => {
    const budget = new StateBudget({ taskBytesMax: 1_000, processBytesMax: 100 });
    const account = budget.open(task);
    expect(() => account.assertFits(size(1, 101))).toThrow(/this one alone.*larger instances/);
    expect(() => account.assertFits(size(1, 101))).not.toThrow(/more workers/);
  });

  it('counts a task once, with what it holds now', () => {
    const budget = new StateBudget({ taskBytesMax: 1_000, processBytesMax: 100 });
    const account = budget.open(task);
    account.holds(size(50));
    account.holds(size(70));
    expect(budget.memoryBytes).toBe(70);
    expect(codeOf(() => account.assertFits(size(100)))).toBe('none');
    expect(codeOf(() => account.assertFits(size(101)))).toBe('STREAM_WORKER_FULL');
  });
});
