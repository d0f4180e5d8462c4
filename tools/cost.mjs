// What a month costs, by the formulae of docs/SCALING.md: an estimate from list prices (US dollars,
// East US, as of the dates there), not a quotation.
//   node tools/cost.mjs --rate 1000 --partitions 8 --wait 2
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';

export const prices = {
  throughputUnitHour: 0.03,
  millionIngressEvents: 0.028,
  captureUnitHour: 0.1,
  gigabyteSecond: 0.000026,
  millionExecutions: 0.4,
  tenThousandCheckpointWrites: 0.05,
  tenThousandLakeWrites: 0.065,
  lakeGigabyteMonth: 0.0208,
  logGigabyte: 2.3,
};

export const defaults = {
  /** Events a second, on average. */
  rate: 1000,
  /** Kilobytes of an event. */
  kilobytes: 1,
  /** Of each hub. */
  partitions: 8,
  /** Seconds between batches of one partition: the time one takes, or maxWaitTime. */
  wait: 2,
  /** Events of a full batch (host.json maxEventBatchSize). */
  batch: 1000,
  /** Stages; each after the first reads an exchange hub. */
  stages: 2,
  /** Events a second that one busy instance does. */
  perInstance: 10_000,
  /** Gigabytes of memory of an instance. */
  memory: 2,
  /** Share of the throughput units bought that the average uses. */
  utilisation: 0.5,
  /** Share of an event's bytes that its table row takes, compressed. */
  rowShare: 0.2,
};

const hoursOfMonth = 730;
const secondsOfMonth = hoursOfMonth * 3600;
/** Log lines of an invocation, and what the daily quota of the template lets through. */
const logKilobytesPerBatch = 2;
const logQuotaGigabytes = 30;
const logFreeGigabytes = 5;
/** The timer `tend` runs every ten seconds and is billed for one second each time. */
const tendSeconds = secondsOfMonth / 10;

/** Dollars a month by line, and what they come from. */
export function monthly(given = {}) {
  const load = { ...defaults, ...given };
  const { batch, kilobytes, memory, partitions, rate, rowShare, stages, utilisation, wait } = load;
  const events = rate * secondsOfMonth;
  const batchSize = Math.min(batch, Math.max(1, (rate / partitions) * wait));
  const batchesPerSecond = (stages * rate) / batchSize;
  const batches = batchesPerSecond * secondsOfMonth;
  const exchanges = stages - 1;
  // An exchange message carries what one batch has for one partition, up to 64 KB.
  const packed = Math.min(64 / kilobytes, Math.max(1, batchSize / partitions));
  const units = Math.max(
    1,
    Math.ceil(
      Math.max(
        rate / 1000 + (exchanges * rate) / packed / 1000,
        (stages * rate * kilobytes) / 1000,
      ) / utilisation,
    ),
  );
  const instances = Math.max(stages, (stages * rate) / load.perInstance);
  const busySeconds = Math.max(
    (stages * events) / load.perInstance,
    Math.min(1, batchesPerSecond / instances) * instances * secondsOfMonth,
  );
  const logGigabytes = Math.min(logQuotaGigabytes, (batches * logKilobytesPerBatch) / 1e6);
  const lines = {
    eventHubUnits: units * hoursOfMonth * prices.throughputUnitHour,
    eventHubIngress: ((events + (exchanges * events) / packed) / 1e6) * prices.millionIngressEvents,
    compute: (busySeconds + tendSeconds) * memory * prices.gigabyteSecond,
    executions: (batches / 1e6) * prices.millionExecutions,
    checkpoints: (batches / 1e4) * prices.tenThousandCheckpointWrites,
    commits: (batches / 1e4) * prices.tenThousandLakeWrites,
    rowsKept: ((events * kilobytes * rowShare) / 1e6) * prices.lakeGigabyteMonth,
    logs: Math.max(0, logGigabytes - logFreeGigabytes) * prices.logGigabyte,
  };
  const total = Object.values(lines).reduce((sum, dollars) => sum + dollars, 0);
  return { batchSize, batchesPerSecond, units, lines, total };
}

function main() {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' }]),
  );
  const { values } = parseArgs({ options });
  const load = Object.fromEntries(
    Object.entries(values).map(([name, text]) => {
      const number = Number(text);
      if (number > 0) return [name, number];
      throw new Error(`--${name} must be a number above 0, is "${text}"`);
    }),
  );
  const { batchSize, batchesPerSecond, lines, total, units } = monthly(load);
  console.log(
    `${units} throughput units, ${batchesPerSecond.toFixed(1)} batches/s of ${batchSize.toFixed(0)} events`,
  );
  for (const [name, dollars] of [...Object.entries(lines), ['total', total]]) {
    console.log(`${name.padEnd(16)} ${dollars.toFixed(0).padStart(8)}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    main();
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
