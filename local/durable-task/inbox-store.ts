/**
 * Table `{hub}Inbox`: messages on their way, in the place of the provider's control queues. A row is
 * removed after the commit that applied it; its id is in that commit, so a row that stays because
 * a process died is not applied again.
 */
import { randomBytes } from 'node:crypto';
import type { TableClient } from '@azure/data-tables';
import type { Message } from './history-event';
import { nothingWhen } from './history-store';
import { fromKey, toKey } from './names';
import type { LargePayloads } from './payloads';
import { columnsOf, eventOf } from './rows';

export interface StoredMessage {
  readonly message: Message;
  readonly rowKey: string;
  readonly blobs: readonly string[];
}

const rowsPerTransaction = 100;

export class InboxStore {
  readonly #table: TableClient;
  readonly #payloads: LargePayloads;
  #lastMs = 0;
  #sequence = 0;

  constructor(table: TableClient, payloads: LargePayloads) {
    this.#table = table;
    this.#payloads = payloads;
  }

  async put(message: Message): Promise<StoredMessage> {
    const partitionKey = toKey(message.instanceId);
    // Taken before anything is awaited: messages keep the order in which they were handed over.
    const rowKey = this.#nextRowKey();
    const { columns, blobs } = await this.#payloads.moveOut(partitionKey, {
      ...columnsOf(message.event),
      ...(message.id !== null && { MessageId: message.id }),
      ...(message.executionId !== null && { TargetExecutionId: message.executionId }),
    });
    await this.#table.createEntity({ ...columns, partitionKey, rowKey });
    return { message, rowKey, blobs };
  }

  /** What waits and is wanted, in order per instance. */
  async *all(
    isWanted: (instanceId: string, rowKey: string) => boolean,
  ): AsyncGenerator<StoredMessage> {
    for await (const stored of this.#table.listEntities()) {
      const instanceId = fromKey(stored.partitionKey ?? '');
      if (!isWanted(instanceId, stored.rowKey ?? '')) continue;
      // A text that is gone: the message was applied and removed since it was listed.
      const whole = await this.#payloads.bringIn(stored).catch(nothingWhen(404));
      if (whole === null) continue;
      const { row, blobs } = whole;
      const { MessageId, TargetExecutionId, ...event } = row;
      yield {
        message: {
          id: String(MessageId),
          instanceId,
          executionId: (TargetExecutionId as string | undefined) ?? null,
          event: eventOf(event),
        },
        rowKey: stored.rowKey ?? '',
        blobs,
      };
    }
  }

  async remove(instanceId: string, messages: readonly StoredMessage[]): Promise<void> {
    const partitionKey = toKey(instanceId);
    for (let start = 0; start < messages.length; start += rowsPerTransaction) {
      const chunk = messages.slice(start, start + rowsPerTransaction);
      const [only] = chunk;
      if (chunk.length === 1 && only !== undefined) {
        await this.#table.deleteEntity(partitionKey, only.rowKey).catch(nothingWhen(404));
      } else {
        await this.#table
          .submitTransaction(chunk.map(({ rowKey }) => ['delete', { partitionKey, rowKey }]))
          .catch(async (error: unknown) => {
            // Another host removed some of them: one row that is gone refuses the whole transaction.
            nothingWhen(404)(error);
            for (const { rowKey } of chunk) {
              await this.#table.deleteEntity(partitionKey, rowKey).catch(nothingWhen(404));
            }
          });
      }
    }
    await this.#payloads.remove(messages.flatMap(({ blobs }) => blobs));
  }

  async removeAll(instanceId: string): Promise<void> {
    const partitionKey = toKey(instanceId);
    for await (const { rowKey } of this.#table.listEntities({
      queryOptions: { filter: `PartitionKey eq '${partitionKey.replaceAll("'", "''")}'` },
    })) {
      await this.#table.deleteEntity(partitionKey, rowKey ?? '').catch(nothingWhen(404));
    }
  }

  #nextRowKey(): string {
    const nowMs = Math.max(Date.now(), this.#lastMs);
    this.#sequence = nowMs === this.#lastMs ? this.#sequence + 1 : 0;
    this.#lastMs = nowMs;
    const number = (value: number, digits: number): string => String(value).padStart(digits, '0');
    return `${number(nowMs, 15)}-${number(this.#sequence, 6)}-${randomBytes(4).toString('hex')}`;
  }
}
