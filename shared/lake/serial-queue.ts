/** Runs one task after the other: within a process nobody then loses a race to a neighbour. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(task, task);
    // The caller gets the rejection; the queue only waits for the end of the task.
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
