/** Runs one check against a host and says every way in which the host breaks it. */
import { setTimeout as sleep } from 'node:timers/promises';
import Schema from 'typebox/schema';
import { isDeepStrictEqual } from 'node:util';
import type { Check, DurableCheck, HttpCheck, HubCheck, JsonSchema, TimerCheck } from './check';
import type { DurableStatus, Host } from './host';
import { judgeDurable, type EpisodeRecord } from './judge-durable';
import { eventsOf, judge, sightings, type HubRecord, type Run } from './judge';

export interface Conditions {
  readonly host: Host;
  readonly shapes: JsonSchema;
  readonly timeoutMs: number;
  /** Time in which a delivery too many would be seen. */
  readonly settleMs: number;
}

const pollIntervalMs = 300;
/** Takes every event as it is. */
const witness = 'many-binary';
const shapeFaultsMax = 3;
const finalStatuses = ['Completed', 'Failed', 'Terminated', 'Canceled'];

export function perform(check: Check, conditions: Conditions): Promise<string[]> {
  switch (check.kind) {
    case 'hub':
      return performHub(check, conditions);
    case 'http':
      return performHttp(check, conditions);
    case 'timer':
      return performTimer(check, conditions);
    case 'durable':
      return performDurable(check, conditions);
    default:
      return Promise.reject(new Error(`a check of kind ${String(check satisfies never)}`));
  }
}

async function performHub(check: HubCheck, conditions: Conditions): Promise<string[]> {
  const { host, settleMs } = conditions;
  const sentAtMs = Date.now();
  const run = `${check.name}-${sentAtMs.toString(36)}`;
  const missing: string[] = [];
  for (const [index, step] of check.steps.entries()) {
    const { partition, partitionKey, together } = step;
    await host.send({
      ...(partition !== undefined && { partition }),
      ...(partitionKey !== undefined && { partitionKey }),
      events: eventsOf(check, index, run),
    });
    if (step.outcomes?.length === 0)
      missing.push(...(await awaitPassed(check, index, run, conditions)));
    if (together !== true) missing.push(...(await awaitSteps(check, index, run, conditions)));
    if (missing.length > 0) break;
  }
  await sleep(settleMs);
  const records = await host.records(run, check.function);
  const faults = [
    ...missing,
    ...judge(check, { run, sentAtMs, records }),
    ...records.flatMap((record) => shapeFaults(check.record, record, conditions.shapes)),
    ...(await checkpointFaults(check, records, conditions)),
  ];
  return Array.from(new Set(faults));
}

/** Waits until every event sent so far was invoked as often as it must be. */
async function awaitSteps(
  check: HubCheck,
  last: number,
  run: string,
  { host, timeoutMs }: Conditions,
): Promise<string[]> {
  const wanted = check.steps.slice(0, last + 1).flatMap((step, index) =>
    eventsOf(check, index, run).map((event) => ({
      id: String(event.properties?.['id']),
      count: step.outcomes?.length ?? 1,
    })),
  );
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const seen = sightings(await runOf(host, check, run));
    const lacking = wanted.filter(({ count, id }) => (seen.get(id)?.length ?? 0) < count);
    if (lacking.length === 0) return [];
    if (Date.now() > deadlineMs) {
      const ids = lacking.map(({ id }) => id).slice(0, 5);
      return [
        `${lacking.length} events were not delivered in ${timeoutMs / 1000} s: ${ids.join()}`,
      ];
    }
    await sleep(pollIntervalMs);
  }
}

/** Waits until the function's checkpoint is past events that another function tells the place of. */
async function awaitPassed(
  check: HubCheck,
  step: number,
  run: string,
  { host, timeoutMs }: Conditions,
): Promise<string[]> {
  const ids = eventsOf(check, step, run).map((event) => String(event.properties?.['id']));
  const deadlineMs = Date.now() + timeoutMs;
  while (Date.now() < deadlineMs) {
    const records = await host.records(run, witness);
    const seen = sightings({ run, sentAtMs: 0, records });
    const stored = await host.checkpoints(check.function);
    const isPassed = ids.every((id) => {
      const [sighting] = seen.get(id) ?? [];
      const partition = sighting?.record.metadata.partitionContext.partitionId;
      const checkpoint = stored.find((one) => one.partition === partition)?.metadata;
      return Number(checkpoint?.['sequencenumber'] ?? -1) >= (sighting?.sequenceNumber ?? Infinity);
    });
    if (isPassed) return [];
    await sleep(pollIntervalMs);
  }
  return [`no checkpoint of ${check.function} passed the events of step ${step}`];
}

async function runOf(host: Host, check: HubCheck, run: string): Promise<Run> {
  return { run, sentAtMs: 0, records: await host.records(run, check.function) };
}

/** The checkpoint of each partition reaches the last event delivered, however its batch ended. */
async function checkpointFaults(
  check: HubCheck,
  records: readonly HubRecord[],
  { host, timeoutMs }: Conditions,
): Promise<string[]> {
  const reached = new Map<string, number>();
  for (const { engine, metadata } of records) {
    const last = engine?.messages.at(-1)?.sequenceNumber ?? Number(metadata.sequenceNumber ?? -1);
    reached.set(metadata.partitionContext.partitionId, last);
  }
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const stored = await host.checkpoints(check.function);
    const behind = Array.from(reached).filter(([partition, last]) => {
      const found = stored.find((one) => one.partition === partition);
      return !(Number(found?.metadata?.['sequencenumber'] ?? -1) >= last);
    });
    if (behind.length === 0) return [];
    if (Date.now() > deadlineMs) {
      return behind.map(
        ([partition, last]) => `partition ${partition}: no checkpoint reached ${last}`,
      );
    }
    await sleep(pollIntervalMs);
  }
}

function shapeFaults(schema: JsonSchema, value: unknown, shapes: JsonSchema): string[] {
  const [isRight, errors] = Schema.Errors({ ...schema, $defs: shapes }, value);
  if (isRight) return [];
  return errors
    .slice(0, shapeFaultsMax)
    .map(({ instancePath, message }) => `shape: ${instancePath || 'the record'} ${message}`);
}

async function performHttp(check: HttpCheck, { host, shapes }: Conditions): Promise<string[]> {
  const { headers = {}, json, status, textIsNot } = check.response;
  const response = await host.fetch(check.request);
  const text = await response.text();
  const faults: string[] = [];
  if (response.status !== status) faults.push(`answered ${response.status}, not ${status}`);
  for (const [name, value] of Object.entries(headers)) {
    const found = response.headers.get(name);
    if (found !== value) faults.push(`header ${name} is ${found}, not ${value}`);
  }
  if (textIsNot !== undefined && text.includes(textIsNot)) {
    faults.push(`the answer tells "${textIsNot}"`);
  }
  if (json !== undefined && faults.length === 0) {
    faults.push(...shapeFaults(json, JSON.parse(text), shapes));
  }
  return faults;
}

async function performTimer(check: TimerCheck, conditions: Conditions): Promise<string[]> {
  const { host, shapes, timeoutMs } = conditions;
  const fromMs = Date.now();
  for (;;) {
    const records = await host.records<{ startedAtMs: number }>('timer', check.function);
    // A little grace: the host's clock need not be this one's.
    const recent = records.filter(({ startedAtMs }) => startedAtMs > fromMs - timeoutMs);
    if (recent.length >= check.invocations) {
      return recent.flatMap((record) => shapeFaults(check.record, record, shapes));
    }
    if (Date.now() > fromMs + timeoutMs) {
      return [`${recent.length} invocations in ${timeoutMs / 1000} s, not ${check.invocations}`];
    }
    await sleep(pollIntervalMs);
  }
}

async function performDurable(check: DurableCheck, conditions: Conditions): Promise<string[]> {
  const { host, shapes, timeoutMs } = conditions;
  const { executions, input, orchestrator, output, raise, shown } = check;
  const instanceId = `${check.name}-${Date.now().toString(36)}`;
  await host.startDurable(orchestrator, instanceId, input);
  if (raise !== undefined) await host.raiseDurable(instanceId, raise.event, raise.value);
  const deadlineMs = Date.now() + timeoutMs;
  let status: DurableStatus;
  do {
    await sleep(pollIntervalMs);
    status = await host.durableStatus(instanceId);
  } while (!finalStatuses.includes(status.runtimeStatus) && Date.now() < deadlineMs);
  const faults: string[] = [];
  if (status.runtimeStatus !== 'Completed') faults.push(`the instance is ${status.runtimeStatus}`);
  if (!isDeepStrictEqual(status.output, output)) {
    faults.push(`its output is ${JSON.stringify(status.output)}, not ${JSON.stringify(output)}`);
  }
  const types = (status.historyEvents ?? []).map(({ EventType }) => EventType);
  if (shown !== undefined && !isDeepStrictEqual(types, [...shown])) {
    faults.push(`the status shows ${types.join(', ')}, not ${shown.join(', ')}`);
  }
  const records = await host.records<EpisodeRecord>(instanceId, orchestrator);
  const shapeless = records.flatMap(({ trigger }) => shapeFaults(check.trigger, trigger, shapes));
  faults.push(...shapeless);
  // What has not the shape cannot be read.
  if (shapeless.length === 0) faults.push(...judgeDurable(executions, instanceId, records));
  return Array.from(new Set(faults));
}
