/** One run of the orders topology on a cluster, from sending to comparing with the oracle. */
import { writeFileSync } from 'node:fs';
import { topologies } from '../fixtures/topologies/orders';
import { startCluster, type Cluster, type ClusterOptions } from '../support/cluster';
import { expectedMinutes, expectedPaid, type Order } from '../support/orders';
import { eventually, Outcome, type TaskOutcome } from '../support/outcome';

const drainedWatermarkMs = Number.MAX_SAFE_INTEGER;
const messagesPerSend = 100;

export class OrdersRun {
  readonly cluster: Cluster;
  readonly outcome: Outcome;
  readonly #partitionCount: number;
  readonly #sent: Order[] = [];

  constructor(cluster: Cluster, partitionCount: number) {
    this.cluster = cluster;
    this.#partitionCount = partitionCount;
    this.outcome = new Outcome(cluster.storageConnectionString, cluster.plan);
  }

  static async start(options: Partial<ClusterOptions> = {}): Promise<OrdersRun> {
    const partitionCount = options.partitionCount ?? 2;
    const cluster = await startCluster({
      topologies: { module: 'test/fixtures/topologies/orders.ts', defined: topologies },
      workers: 2,
      ...options,
      partitionCount,
    });
    return new OrdersRun(cluster, partitionCount);
  }

  /** Sends orders round robin over the partitions, one per message. */
  async send(orders: readonly Order[]): Promise<void> {
    for (let start = 0; start < orders.length; start += messagesPerSend * this.#partitionCount) {
      const chunk = orders.slice(start, start + messagesPerSend * this.#partitionCount);
      for (let partition = 0; partition < this.#partitionCount; partition += 1) {
        const bodies = chunk
          .filter((_, index) => (start + index) % this.#partitionCount === partition)
          .map((order) => Buffer.from(JSON.stringify(order)));
        await this.cluster.send('orders', partition, bodies);
      }
    }
    this.#sent.push(...orders);
  }

  async tasks(): Promise<TaskOutcome[]> {
    return this.outcome.tasks('orders');
  }

  /** Waits until the source stage has read so many events. */
  async untilRead(events: number, timeoutMs = 150_000): Promise<void> {
    await eventually(
      async () => readBySource(await this.tasks()),
      (read) => read >= events,
      timeoutMs,
    );
  }

  /** Waits for all input, drains, and waits until every row is in the lake. */
  async finish(options: { extraMessages?: number; timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = options.timeoutMs ?? 150_000;
    await this.untilRead(this.#sent.length + (options.extraMessages ?? 0), timeoutMs);
    await this.outcome.drain('orders');
    await eventually(
      () => this.tasks(),
      (tasks) =>
        newest(tasks).length === 2 * this.#partitionCount &&
        newest(tasks).every(({ last }) => last?.watermarkMs === drainedWatermarkMs),
      timeoutMs,
    );
  }

  /** Tables equal the oracle's; nothing is lost, doubled or unaccounted. */
  async expectOracle(): Promise<void> {
    const paid = expectedPaid(this.#sent);
    const minutes = expectedMinutes(this.#sent);
    await eventually(
      async () => ({
        paid: (await this.outcome.rows('orders_paid')).length,
        minutes: (await this.outcome.rows('customer_minutes')).length,
      }),
      (rows) => rows.paid >= paid.length && rows.minutes >= minutes.length,
      150_000,
    );
    expect(await this.outcome.rows('orders_paid')).toEqual(paid);
    expect(await this.outcome.rows('customer_minutes')).toEqual(minutes);
    for (const { ledger } of await this.tasks()) {
      const { deadLettered, emitted, filtered, late, read } = ledger;
      expect(emitted + filtered + late + deadLettered).toBe(read);
    }
  }

  async close(): Promise<void> {
    // For whoever looks into a failed run.
    const file = process.env['MILLRACE_TEST_HOST_LOG'];
    if (file !== undefined) writeFileSync(file, this.cluster.hostLines.join('\n'));
    await this.cluster.close();
  }
}

/** A recreated hub leaves the logs of its former incarnations behind. */
function newest(tasks: readonly TaskOutcome[]): TaskOutcome[] {
  return tasks.filter(
    (task) =>
      !tasks.some(
        (other) =>
          other.stage === task.stage &&
          other.partition === task.partition &&
          other.incarnation > task.incarnation,
      ),
  );
}

function readBySource(tasks: readonly TaskOutcome[]): number {
  return tasks
    .filter(({ stage }) => stage === 'orders')
    .reduce((total, { ledger }) => total + ledger.read, 0);
}
