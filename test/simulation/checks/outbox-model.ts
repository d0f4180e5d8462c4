import type { CommitRecord } from '../../../shared/model/commit';
import { envelopeText } from './envelope-text';
import { holds } from './invariants';

interface SentMessage {
  readonly commit: number;
  readonly id: string;
}

/** What tasks owe their exchange, and what is in it. */
export class OutboxModel {
  /** Bodies that commits in the log have promised, by partition and text. */
  readonly #promised = new Set<string>();
  readonly #stored = new Set<string>();
  readonly #owed = new Map<string, SentMessage[]>();
  /** One text for each (producer, its birth, partition, ordinal), however often it is sent. */
  readonly #texts = new Map<string, string>();

  /** @param task its name, with its version */
  onCommit(task: string, record: CommitRecord): void {
    this.mustHaveLeft(task, record.summary.outboxConfirmedThrough);
    for (const { body, partition } of record.outbox) {
      const id = `${partition} ${Buffer.from(body).toString('latin1')}`;
      this.#promised.add(id);
      const owed = this.#owed.get(task) ?? [];
      owed.push({ commit: record.commit, id });
      this.#owed.set(task, owed);
    }
  }

  onStored(partition: number, body: Buffer): void {
    const id = `${partition} ${body.toString('latin1')}`;
    holds(this.#promised.has(id), 'I4', () => `sent before its commit is in the log: ${id}`);
    this.#stored.add(id);
    const { epoch, events, firstOrdinal, partition: from } = envelopeText(body);
    events.forEach((event, index) => {
      const name = `${from} ${epoch}>${partition}:${firstOrdinal + index}`;
      const known = this.#texts.get(name) ?? JSON.stringify(event);
      holds(known === JSON.stringify(event), 'I6', () => `${name} has two texts`);
      this.#texts.set(name, known);
    });
  }

  /** Everything of commits up to that one is in the hub. */
  mustHaveLeft(task: string, throughCommit: number): void {
    const owed = this.#owed.get(task) ?? [];
    for (let first = owed[0]; first && first.commit <= throughCommit; first = owed[0]) {
      const { commit, id } = first;
      holds(this.#stored.has(id), 'I4', () => `${task} says that commit ${commit} is sent: ${id}`);
      owed.shift();
    }
  }

  /** True when nothing of any commit is still to be sent. */
  get isEmpty(): boolean {
    return Array.from(this.#owed.values()).every((owed) =>
      owed.every(({ id }) => this.#stored.has(id)),
    );
  }
}
