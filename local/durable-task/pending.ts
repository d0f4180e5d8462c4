export type Outcome =
  | { readonly isFailed: false; readonly value: string | null }
  | { readonly isFailed: true; readonly reason: string };

/**
 * A result that comes later. Its followers run at once and in order when it comes, as the
 * framework's single-threaded scheduler runs continuations: ids are given out in that order.
 */
export class Pending {
  #outcome: Outcome | null = null;
  #followers: ((outcome: Outcome) => void)[] = [];

  static settled(value: string | null = null): Pending {
    const pending = new Pending();
    pending.settle({ isFailed: false, value });
    return pending;
  }

  get isSettled(): boolean {
    return this.#outcome !== null;
  }

  settle(outcome: Outcome): void {
    if (this.#outcome !== null) return;
    this.#outcome = outcome;
    const followers = this.#followers;
    this.#followers = [];
    for (const follower of followers) follower(outcome);
  }

  then(follower: (outcome: Outcome) => void): void {
    if (this.#outcome === null) this.#followers.push(follower);
    else follower(this.#outcome);
  }
}

/** Settles when all have: failed if one did. Unlike `Task.all`, it does not stop at the first failure. */
export function all(children: readonly Pending[]): Pending {
  const whole = new Pending();
  let open = children.length;
  let failure: Outcome | null = null;
  if (open === 0) return Pending.settled();
  for (const child of children) {
    child.then((outcome) => {
      if (outcome.isFailed) failure ??= outcome;
      open -= 1;
      if (open === 0) whole.settle(failure ?? { isFailed: false, value: null });
    });
  }
  return whole;
}

/** Settles with the first that does. */
export function any(children: readonly Pending[]): Pending {
  const whole = new Pending();
  for (const child of children) child.then((outcome) => whole.settle(outcome));
  return whole;
}
