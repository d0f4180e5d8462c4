import { InvalidArgumentError } from 'commander';
import { parseWorkerRange, type WorkerRange } from '../local/scaler/worker-range';

/** Arguments of commands, read or refused. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('must be a whole number');
}

/** A parser of whole numbers that are not below a minimum. */
export function wholeNumberFrom(minimum: number): (text: string) => number {
  return (text) => {
    const number = wholeNumber(text);
    if (number >= minimum) return number;
    throw new InvalidArgumentError(`must be at least ${minimum}`);
  };
}

/** A parser of numbers, not necessarily whole, that are not below a minimum. */
export function numberFrom(minimum: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (text.trim() !== '' && Number.isFinite(number) && number >= minimum) return number;
    throw new InvalidArgumentError(`must be a number of at least ${minimum}`);
  };
}

export function workerRange(text: string): WorkerRange {
  try {
    return parseWorkerRange(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** A point in time, as epoch milliseconds. */
export function instant(text: string): number {
  const timeMs = Date.parse(text);
  if (!Number.isNaN(timeMs)) return timeMs;
  throw new InvalidArgumentError('must be a time such as 2026-06-01T12:00Z');
}
