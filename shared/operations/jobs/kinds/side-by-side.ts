/** Tasks that are seen to side by side. */
const tasksAtOnce = 16;

/** Where one fails no other is begun; it rejects when all that were begun are over. */
export async function sideBySide<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items.values();
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (const item of next) {
      if (failures.length > 0) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(tasksAtOnce, items.length) }, run));
  if (failures.length > 0) throw failures[0];
}
