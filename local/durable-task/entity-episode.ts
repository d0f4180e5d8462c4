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
import {
  deterministicGuid,
  entityIdOf,
  entityInstanceId,
  instanceIdFault,
  unknownFunction,
  type EntityId,
} from './names';
import { appliedBy, type EpisodeOptions, type EpisodeResult } from './orchestration-episode';
import { startedEvent, unnumbered } from './execution';
import { FunctionFailed } from './worker-pool';
import type { HubWorld } from './world';

/** The state an entity's history holds: the input of its one event. */
export function entityStateOf(written: Pick<Written, 'events'> | null): EntityState {
  return entityStateIn(startedEvent(written?.events ?? [])?.Input ?? null);
}

/** `input`: that of the event, which the entity's row shows too. */
export function entityStateIn(input: string | null): EntityState {
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
  const events = [historyOf(instanceId, state, nowMs)];
  return {
    commit: {
      isReplacing: true,
      executionId: executionIdOf(instanceId),
      events,
      history: events,
      outgoing,
      applied: appliedBy(written, [], messages),
      customStatus: JSON.stringify(statusShown(state)),
    },
    isDueAtOnce: false,
  };
}

/** What the platform shows as an entity's custom status. */
function statusShown({ exists, lockedBy, queue }: EntityState): Record<string, unknown> {
  return {
    entityExists: exists,
    ...(queue.length > 0 && { queueSize: queue.length }),
    ...(lockedBy && { lockedBy: lockedBy.parent }),
  };
}

/** A signal that can't be sent fails the batch: nothing of it happens, and its callers hear why. */
function assertCanBeSignalled(target: EntityId): void {
  const instanceId = entityInstanceId(target);
  const fault = instanceIdFault(instanceId);
  if (fault !== null) throw new FunctionFailed(`'${instanceId}' is no entity's id: ${fault}`);
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
      unknownFunction(name, 'entity', world.functions().entities),
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
    for (const { target } of output.signals) assertCanBeSignalled(target);
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

function historyOf(instanceId: string, state: EntityState, nowMs: number): HistoryEvent {
  return {
    EventType: EventType.ExecutionStarted,
    // Of the last operation; when the entity was made is in its row.
    ...unnumbered(nowMs),
    Name: `@${entityIdOf(instanceId)?.name ?? ''}`,
    Version: null,
    Input: JSON.stringify(state),
    OrchestrationInstance: { InstanceId: instanceId, ExecutionId: executionIdOf(instanceId) },
    ParentInstance: null,
  };
}
