import type { LakeBatch } from '../lake/lake-table';
import type { OutboxMessage } from '../model/commit';
import { StreamError } from '../model/errors';
import type { StagePlan } from '../model/program';
import type { TablePlan } from '../model/table';
import type { StageServices } from './services';
import { taskIdOf } from './task-identity';
import type { PendingRows, TaskState } from './task-state';
import type { TaskAddress } from '../model/task-address';

/** What of the world a delivery needs. */
export type DeliveryServices = Omit<StageServices, 'hub' | 'checkpoints'>;

/**
 * What leaves a task after its commit: exchange messages and lake rows. All of it can be repeated
 * from the log by anyone.
 *
 * Delivery: messages at least once and in commit order (consumers admit them once by ordinal); rows
 * exactly once (the table's own log knows through which commit it holds them).
 */
export class Delivery {
  readonly #address: TaskAddress;
  readonly #plan: Pick<StagePlan, 'tables'>;
  readonly #state: TaskState;
  readonly #services: DeliveryServices;

  constructor(options: {
    address: TaskAddress;
    plan: Pick<StagePlan, 'tables'>;
    state: TaskState;
    services: DeliveryServices;
  }) {
    this.#address = options.address;
    this.#plan = options.plan;
    this.#state = options.state;
    this.#services = options.services;
  }

  /** Sends every unconfirmed outbox, oldest commit first; a commit's partitions side by side. */
  async sendOutbox(): Promise<void> {
    const { faultPoint, sender } = this.#services;
    for (let next = this.#state.pendingOutbox[0]; next; next = this.#state.pendingOutbox[0]) {
      await faultPoint('stage.before-send');
      const groups = groupByTarget(next.messages);
      await Promise.all(
        groups.map(async ({ exchange, partition, bodies }, index) => {
          if (index > 0) await faultPoint('stage.mid-send');
          await sender.send({ hub: exchange, partition, bodies });
        }),
      );
      await faultPoint('stage.after-send');
      this.#state.confirmOutbox(next.commit);
    }
  }

  /** Flushes the tables whose gathered rows reached a limit; those of a former plan wait for none. */
  async flushDue(): Promise<void> {
    for (const [name, pending] of Array.from(this.#state.pendingRows)) {
      const table = this.#plan.tables.find((one) => one.name === name);
      const isDueNow =
        table === undefined
          ? pending.length > 0
          : isDue(table, pending, this.#services.clock.nowMs());
      if (isDueNow) await this.flushTable(name);
    }
  }

  async flushAll(): Promise<void> {
    for (const name of Array.from(this.#state.pendingRows.keys())) await this.flushTable(name);
  }

  /** Rows that former builds made for other columns go before those that come after them. */
  async flushTable(name: string): Promise<void> {
    const pending = this.#state.pendingRows.get(name) ?? [];
    for (let first = pending[0]; first !== undefined; first = pending[0]) {
      const { table } = first;
      const other = pending.findIndex((rows) => rows.table !== table);
      await this.#flush(table, pending.slice(0, other === -1 ? pending.length : other));
    }
  }

  async #flush(table: TablePlan, pending: readonly PendingRows[]): Promise<void> {
    const { faultPoint, lakeTable, telemetry } = this.#services;
    await faultPoint('stage.before-flush');
    const lake = lakeTable(table);
    this.#assertNotAhead(table.name, await lake.flushedThrough(this.#taskId()));
    const batches: LakeBatch[] = pending.map(({ commit, rows, watermarkMs }) => ({
      ...{ commit, watermarkMs },
      rows: rows(),
    }));
    const flushed = await lake.flush({ task: this.#taskId(), batches });
    this.#assertNotAhead(table.name, flushed.flushedThrough);
    await faultPoint('stage.after-flush');
    this.#state.confirmFlush(table.name, flushed.flushedThrough);
    telemetry.emit('info', 'table.flushed', { ...this.#address, table: table.name, ...flushed });
  }

  /** Others have gone on with this task, or a reset ended it: what is known here is stale. */
  #assertNotAhead(table: string, throughCommit: number): void {
    const { commit } = this.#state;
    if (throughCommit <= commit) return;
    throw new StreamError(
      'STREAM_COMMIT_CONTENDED',
      `table ${table} holds rows of this task through commit ${throughCommit}, this process knows ${commit}: open the task anew`,
      { details: { ...this.#address, table, throughCommit, commit } },
    );
  }

  #taskId(): string {
    return taskIdOf(this.#address, this.#state.epoch ?? 0);
  }
}

function isDue(table: TablePlan, pending: readonly PendingRows[], nowMs: number): boolean {
  const oldest = pending[0];
  if (oldest === undefined) return false;
  const { ageMaxMs, bytesMax, rowsMax } = table.flush;
  if (nowMs - oldest.committedAtMs >= ageMaxMs) return true;
  let rows = 0;
  let bytes = 0;
  for (const batch of pending) {
    rows += batch.count;
    bytes += batch.bytes;
  }
  return rows >= rowsMax || bytes >= bytesMax;
}

function groupByTarget(
  messages: readonly OutboxMessage[],
): { exchange: string; partition: number; bodies: Uint8Array[] }[] {
  const groups = new Map<string, { exchange: string; partition: number; bodies: Uint8Array[] }>();
  for (const { exchange, partition, body } of messages) {
    const name = `${exchange}/${partition}`;
    let group = groups.get(name);
    if (group === undefined) groups.set(name, (group = { exchange, partition, bodies: [] }));
    group.bodies.push(body);
  }
  return Array.from(groups.values());
}
