import { StreamError } from '../model/errors';
import { memoryPerEncodedByte, type StateSize } from './task-stores';

export interface StateLimits {
  /** Encoded state of one task. */
  readonly taskBytesMax: number;
  /** What the state of all tasks of this process may take in its memory. */
  readonly processBytesMax: number;
}

type TaskSize = Pick<StateSize, 'bytes' | 'memoryBytes'>;
type MemorySize = Pick<StateSize, 'memoryBytes'>;

/** What one task of a process takes of its memory. */
export interface StateAccount {
  /**
   * Says no before a task is loaded that has no room in this process.
   * @throws StreamError STREAM_WORKER_FULL
   */
  assertRoom(size: MemorySize): void;
  /**
   * Says no before a commit is appended that would pass a limit; one that makes a state smaller always may.
   * @throws StreamError STREAM_STATE_TOO_LARGE, STREAM_WORKER_FULL
   */
  assertFits(size: TaskSize): void;
  /** So much is in memory now. */
  holds(size: TaskSize): void;
  /** The task was let go. */
  close(): void;
}

/** For tests and tools that end when their work is done. */
export const noStateLimits: StateLimits = { taskBytesMax: Infinity, processBytesMax: Infinity };

/** The memory that the tasks of one process share. */
export class StateBudget {
  readonly limits: StateLimits;
  #memoryBytes = 0;
  #tasks = 0;

  constructor(limits: StateLimits) {
    this.limits = limits;
  }

  /** What the state of all tasks takes. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  open(task: Readonly<Record<string, unknown>>): StateAccount {
    this.#tasks += 1;
    let held = { bytes: 0, memoryBytes: 0 };
    let isOpen = true;
    const take = (memoryBytes: number): void => {
      if (isOpen) this.#memoryBytes += memoryBytes;
    };
    return {
      assertRoom: (size) => this.#assertRoom(task, held, size),
      assertFits: (size) => this.#assertFits(task, held, size),
      holds: ({ bytes, memoryBytes }) => {
        take(memoryBytes - held.memoryBytes);
        held = { bytes, memoryBytes };
      },
      close: () => {
        if (!isOpen) return;
        take(-held.memoryBytes);
        this.#tasks -= 1;
        isOpen = false;
      },
    };
  }

  #assertFits(task: Readonly<Record<string, unknown>>, held: TaskSize, size: TaskSize): void {
    const { taskBytesMax } = this.limits;
    if (size.bytes > taskBytesMax && size.bytes > held.bytes) {
      throw new StreamError(
        'STREAM_STATE_TOO_LARGE',
        `the state of this task would take ${size.bytes} bytes, ${taskBytesMax} are allowed; nothing was committed: ` +
          'use more partitions, shorter windows, less grace or a time to live, or raise MILLRACE_STATE_BYTES_MAX',
        { details: { ...task, bytes: size.bytes, bytesMax: taskBytesMax } },
      );
    }
    if (size.memoryBytes > held.memoryBytes) this.#assertRoom(task, held, size);
  }

  #assertRoom(
    task: Readonly<Record<string, unknown>>,
    held: MemorySize,
    { memoryBytes }: MemorySize,
  ): void {
    const { processBytesMax } = this.limits;
    const inAll = this.#memoryBytes - held.memoryBytes + memoryBytes;
    if (inAll <= processBytesMax) return;
    // More workers share tasks: they make no room for one that fills a worker by itself.
    const cure =
      memoryBytes > processBytesMax
        ? `this one alone would take about ${memoryBytes}: take larger instances or use more partitions or shorter windows`
        : 'run more workers, take larger instances or use shorter windows';
    throw new StreamError(
      'STREAM_WORKER_FULL',
      `the state of this process's ${this.#tasks} tasks would take about ${inAll} bytes of memory with this one, ` +
        `${processBytesMax} are allowed; nothing was committed: ${cure}, or raise MILLRACE_WORKER_STATE_BYTES_MAX`,
      { details: { ...task, memoryBytes: inAll, memoryBytesMax: processBytesMax } },
    );
  }
}

/** Refused by a limit of the state: what is in memory is what is in the log, and waiting makes no room. */
export function isLimitOfState(error: unknown): boolean {
  return (
    error instanceof StreamError &&
    (error.code === 'STREAM_STATE_TOO_LARGE' || error.code === 'STREAM_WORKER_FULL')
  );
}

/** What parts of a snapshot take in memory once they are loaded, at least: how many keys they hold is not known. */
export function leastSizeOfParts(bytes: number): MemorySize {
  return { memoryBytes: memoryPerEncodedByte * bytes };
}
