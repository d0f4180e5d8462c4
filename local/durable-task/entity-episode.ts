import { randomUUID } from 'node:crypto';
import {
  beginEntity,
  failEntity,
  finishEntity,
  inputOfBatch,
  newEntity,
  type EntityBegun,
  type EntityOutput,
  type EntityState,
} from './entity';
import { EventType, type HistoryEvent, type Message } from './history-event';
import type { Written } from './history-store';
import { deterministicGuid, entityIdOf } from './names';
import { appliedBy, type EpisodeOptions, type EpisodeResult } from './orchestration-episode';
import { startedEvent, unnumbered } from './execution';
import { FunctionFailed } from './worker-pool';
import type { HubWorld } from './world';

/** The state an entity's history holds: the input of its one event. */
export function entityStateOf(written: Pick<Written, 'events'> | null): EntityState {
  const input = startedEvent(written?.events ?? [])?.Input ?? null;
  return input === null ? newEntity : (JSON.parse(input) as EntityState);
}

/** Null: none of the messages counts. */
export async function runEntity(options: EpisodeOptions): Promise<EpisodeResult | null> {
  const { world, instanceId, written } = options;
  const seen = new Set(Object.keys(written?.applied ?? {}));
  const messages = options.messages.filter(({ id }) => {
    const isNew = id === null || !seen.has(id);
    if (id !== null) seen.add(id);
    return isNew;
  });
  if (messages.length === 0) return null;
  const nowMs = Date.now();
  const begun = beginEntity({ instanceId, state: entityStateOf(written), messages, nowMs });
  const { state, outgoing } = await runBatch(world, instanceId, begun);
  const events = [historyOf(instanceId, state, written)];
  return {
    commit: {
      isReplacing: true,
      executionId: executionIdOf(instanceId),
      events,
      history: events,
      outgoing,
      applied: appliedBy(written, [], messages),
      customStatus: null,
    },
    isDueAtOnce: false,
  };
}

async function runBatch(
  world: HubWorld,
  instanceId: string,
  begun: EntityBegun,
): Promise<{ readonly state: EntityState; readonly outgoing: readonly Message[] }> {
  if (begun.batch.length === 0) return { state: begun.state, outgoing: begun.outgoing };
  const name = entityIdOf(instanceId)?.name ?? '';
  const functionName = world.functions().entities.find((one) => one.toLowerCase() === name);
  if (functionName === undefined) {
    return failEntity(
      begun,
      `The function '${name}' doesn't exist, is disabled, or is not an entity function.`,
      Date.now(),
    );
  }
  world.point('before-run');
  try {
    const value = await world.pool.invoke({
      kind: 'entity',
      functionName,
      data: JSON.stringify(inputOfBatch(instanceId, begun.state, begun.batch)),
      instanceId,
    });
    const output = JSON.parse(value ?? 'null') as EntityOutput;
    return finishEntity({ begun, output, newId: randomUUID, nowMs: Date.now() });
  } catch (error) {
    if (!(error instanceof FunctionFailed)) throw error;
    world.log('error', `${instanceId}: ${error.message}`);
    return failEntity(begun, error.message, Date.now());
  }
}

function executionIdOf(instanceId: string): string {
  return deterministicGuid(instanceId, 'entity');
}

function historyOf(instanceId: string, state: EntityState, written: Written | null): HistoryEvent {
  const before = startedEvent(written?.events ?? []);
  return {
    EventType: EventType.ExecutionStarted,
    ...unnumbered(Date.parse(before?.Timestamp ?? new Date().toISOString())),
    Name: `@${entityIdOf(instanceId)?.name ?? ''}`,
    Version: null,
    Input: JSON.stringify(state),
    OrchestrationInstance: { InstanceId: instanceId, ExecutionId: executionIdOf(instanceId) },
    ParentInstance: null,
  };
}
