import type { Summary, Workload } from '../../local/scaler/simulation/summary';
import { prices } from '../../local/scaler/simulation/prices';

/** A simulation's result for people. */
export function describeSummary(summary: Summary, workload: Workload): string {
  const { cost, events, instances, lagSeconds } = summary;
  const left =
    events.unprocessed > 0
      ? `${whole(events.unprocessed)} NOT processed a day after the load ended`
      : `all processed ${span(summary.drainedAfterSeconds ?? 0)} after the load ended`;
  const lines: [string, string][] = [
    ['events', `${whole(events.arrived)} in ${span(cost.hours * 3_600)}; ${left}`],
    [
      'instances',
      `up to ${instances.peak} of ${workload.maxInstances}, ${instances.mean.toFixed(1)} on average; ` +
        `the number rose ${times(instances.rises)}, fell ${times(instances.falls)}`,
    ],
    [
      'lag',
      `P50 ${seconds(lagSeconds.p50)}, P95 ${seconds(lagSeconds.p95)}, max ${seconds(lagSeconds.max)}; ` +
        `backlog up to ${whole(summary.backlogPeak)} events; ` +
        `longest catch-up ${span(summary.longestCatchUpSeconds)}`,
    ],
    ['partition', hottest(summary)],
    ...hubLines(summary),
    ...costLines(summary, workload),
  ];
  return lines.map(([name, text]) => `${name.padEnd(11)}${text}`).join('\n');
}

function hottest({ hottestPartition: { peakBytesPerSecond, share } }: Summary): string {
  return (
    `the fullest gets ${(share * 100).toFixed(2)} % of the events, ` +
    `up to ${(peakBytesPerSecond / 1e6).toFixed(2)} MB/s`
  );
}

function hubLines({ cost, eventHubs }: Summary): [string, string][] {
  return eventHubs.map(({ obstacle, tier, unit, units, usd }, index) => {
    const verdict = obstacle === null ? dollars(usd) : `no: ${obstacle}`;
    const chosen = tier === cost.eventHubsTier ? ', the cheapest that carries it' : '';
    return [index === 0 ? 'event hubs' : '', `${tier}: ${units} ${unit}, ${verdict}${chosen}`];
  });
}

function costLines({ cost }: Summary, { instanceMemoryMb, plan }: Workload): [string, string][] {
  const functions = [
    `${plan} (${instanceMemoryMb} MB) compute ${dollars(cost.computeUsd)}`,
    `executions ${dollars(cost.executionsUsd)}`,
    `storage writes ${dollars(cost.storageUsd)}`,
  ].join(', ');
  const { eventHubsUsd, totalUsd, usdPerMillionEvents } = cost;
  const total =
    totalUsd === null || usdPerMillionEvents === null
      ? 'no tier of Event Hubs carries this load in one namespace'
      : `with Event Hubs ${dollars(eventHubsUsd ?? 0)}: ${dollars(totalUsd)} in all, ` +
        `$${usdPerMillionEvents.toPrecision(3)} per million events`;
  const weak = Object.values(prices).filter(({ isWeak }) => isWeak).length;
  return [
    ['cost', functions],
    ['', total],
    [
      '',
      `list prices, East US, ${prices.flexOnDemand.asOf}; ${weak} of ${Object.keys(prices).length} are weak: see local/scaler/simulation/prices.ts`,
    ],
  ];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function seconds(value: number): string {
  return value < 1 ? 'under 1 s' : span(value);
}

function span(total: number): string {
  const hours = Math.floor(total / 3_600);
  const minutes = Math.floor((total % 3_600) / 60);
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${Math.round(total % 60)} s` : `${Math.round(total)} s`;
}

function dollars(usd: number): string {
  return usd >= 1_000 ? `$${whole(usd)}` : `$${usd.toFixed(2)}`;
}
