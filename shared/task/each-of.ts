import { asksToReopen } from '../model/errors';

const failuresToldMax = 5;

/**
 * One after the other: what one of them meets keeps nobody from the others, and is told at the end.
 * A task that others have gone on with is in good hands: it was let go, and that is all.
 */
export async function forEachOf<Item>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      const met: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
      failures.push(...met.filter((one) => !asksToReopen(one)));
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length === 0) return;
  const told = failures.slice(0, failuresToldMax).map(String).join('; ');
  throw new AggregateError(failures, `${failures.length} failed: ${told}`);
}

/** The second when the first is over, whatever became of it. */
export async function bothOf(first: Promise<void>, second: () => Promise<void>): Promise<void> {
  await forEachOf([() => first, second], (work) => work());
}
