import { InvalidArgumentError } from 'commander';
import { parseWorkerRange, type WorkerRange } from '../local/scaler/worker-range';
import { instantForms, parseInstant } from './instant';

/** What was written on the command line cannot be done: exit code 2, where a fault is 1. */
export class WrongUse extends Error {}

/** Flights that the replay has. */
export const flightsMax = 3_000_000;

/** Arguments of commands, read or refused. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('must be a whole number');
}

/** A parser of whole numbers that are not below a minimum, nor above a maximum. */
export function wholeNumberFrom(minimum: number, maximum = Infinity): (text: string) => number {
  return (text) => {
    const number = wholeNumber(text);
    if (number < minimum) throw new InvalidArgumentError(`must be at least ${minimum}`);
    if (number > maximum) throw new InvalidArgumentError(`must be at most ${maximum}`);
    return number;
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

/** Address of an app, without the `/` at its end. */
export function appAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text.replace(/\/+$/, '');
  throw new InvalidArgumentError('must be an address such as http://localhost:7071');
}

/** Throws WrongUse where the time that begins a span is not before the one that ends it. */
export function assertSpan(span: { readonly since?: number; readonly until?: number }): void {
  if (span.since === undefined || span.until === undefined || span.since < span.until) return;
  throw new WrongUse('--since must be before --until');
}

/** A point in time, as epoch milliseconds. */
export function instant(text: string): number {
  const timeMs = parseInstant(text, Date.now());
  if (timeMs !== null) return timeMs;
  throw new InvalidArgumentError(`must be ${instantForms}`);
}
