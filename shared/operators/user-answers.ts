/** What a user's function may answer: everything else is a fault of the event that it was asked about. */
import { shown } from '../model/shown';

/** @throws TypeError: a promise, above all, would always count as true */
export function isTrue(answer: unknown, what: string): boolean {
  if (typeof answer === 'boolean') return answer;
  throw new TypeError(`${what}: the function must give true or false, it gave ${shown(answer)}`);
}

/** @throws TypeError; of a text, too, that could be gone through letter by letter: nobody means that */
export function assertSeveral(answer: unknown, what: string): void {
  if (Array.isArray(answer)) return;
  if (typeof answer === 'object' && answer !== null && Symbol.iterator in answer) return;
  throw new TypeError(
    `${what}: the function must give an array or another iterable of values, it gave ${shown(answer)}`,
  );
}

/** @throws TypeError for a promise */
export function assertNoPromise(answer: unknown, what: string): void {
  if (!(answer instanceof Promise)) return;
  throw new TypeError(
    `${what}: the function gave a promise: an operator does not wait, so that what the promise holds would be lost`,
  );
}
