/** What a durable client can ask of a task hub. Any host answers, whoever runs the instance. */
import { randomUUID } from 'node:crypto';
import { entityStateIn, entityStateOf } from './entity-episode';
import { exceptionText } from './failures';
import { EventType, type ExecutionStarted, type HistoryEvent, type Message } from './history-event';
import { HistoryConflict, type Written } from './history-store';
import { finalStatuses, isPageToken, type Instance, type InstanceFilter } from './instance-store';
import {
  entityIdOf,
  entityInstanceId,
  instanceIdFault,
  unknownFunction,
  type EntityId,
} from './names';
import { missing, Refused, thrown } from './refusals';
import { completedEvent, unnumbered } from './execution';
import type { DurableFunctions } from './replay';
import type { TaskHubStore } from './store';

/** Of one that is written again and again while it is read. */
const readAttemptsMax = 20;

export class TaskHubClient {
  readonly #store: TaskHubStore;
  readonly #functions: () => DurableFunctions;
  readonly #deliver: (message: Message) => Promise<void>;
  readonly #forget: (instanceId: string) => void;
  readonly #point: (name: string) => void;

  constructor(options: {
    readonly store: TaskHubStore;
    readonly functions: () => DurableFunctions;
    readonly deliver: (message: Message) => Promise<void>;
    readonly forget: (instanceId: string) => void;
    readonly point: (name: string) => void;
  }) {
    this.#store = options.store;
    this.#functions = options.functions;
    this.#deliver = options.deliver;
    this.#forget = options.forget;
    this.#point = options.point;
  }

  /** Starts an instance; one with this id that is not over refuses. Returns the id. */
  async start(options: {
    readonly name: string;
    readonly instanceId: string | null;
    /** JSON text. */
    readonly input: string | null;
    readonly version: string | null;
  }): Promise<string> {
    const { orchestrators } = this.#functions();
    const name = orchestrators.find((one) => one.toLowerCase() === options.name.toLowerCase());
    if (name === undefined) {
      throw new Refused(400, unknownFunction(options.name, 'orchestrator', orchestrators));
    }
    const instanceId = options.instanceId ?? randomUUID().replaceAll('-', '');
    assertInstanceId(instanceId);
    const event = startedNow({ ...options, name, instanceId, executionId: randomUUID() });
    const existing = await this.#create(event);
    if (existing !== null) {
      throw new Refused(
        409,
        `An Orchestration instance with the status ${existing.runtimeStatus} already exists: ${instanceId}`,
      );
    }
    this.#point('started');
    await this.#deliver(startMessage(event));
    return instanceId;
  }

  /** The start of an instance whose row was made and whose message may never have been sent. */
  async startAgain(instance: Instance): Promise<void> {
    if (instance.parentInstanceId !== null) return;
    const event = startedNow(instance);
    await this.#deliver(startMessage({ ...event, Timestamp: instance.createdTime.toISOString() }));
  }

  /** Makes a sub-orchestration's row. Not null: there is another instance of this id; the answer to its parent. */
  async admit(event: ExecutionStarted): Promise<Message | null> {
    const existing = await this.#create(event);
    const parent = event.ParentInstance;
    if (existing === null || parent === null) return null;
    const reason = `An Orchestration instance with the status ${existing.runtimeStatus} already exists: ${existing.instanceId}`;
    return {
      id: `refused:${event.OrchestrationInstance.ExecutionId}`,
      instanceId: parent.OrchestrationInstance.InstanceId,
      executionId: parent.OrchestrationInstance.ExecutionId,
      event: {
        EventType: EventType.SubOrchestrationInstanceFailed,
        ...unnumbered(Date.now()),
        TaskScheduledId: parent.TaskScheduleId,
        Reason: reason,
        Details: exceptionText(reason),
      },
    };
  }

  /** Makes the row. Not null: an instance of this id that is not over stands in the way. */
  async #create(event: ExecutionStarted): Promise<Instance | null> {
    const { InstanceId, ExecutionId } = event.OrchestrationInstance;
    const instance = rowOf(event);
    for (;;) {
      const existing = await this.#store.instances.get(InstanceId);
      if (existing?.executionId === ExecutionId) return null;
      if (existing !== null) {
        // The row may be behind the history, which is the truth.
        const written = await this.#written(InstanceId);
        if (hasApplied(written, startId(ExecutionId))) return null;
        const isFree = finalStatuses.includes(existing.runtimeStatus) || isOver(written, existing);
        if (!isFree) return existing;
      }
      if ((await this.#store.instances.put(instance, existing)) !== null) return null;
    }
  }

  get(instanceId: string): Promise<Instance | null> {
    return this.#store.instances.get(instanceId);
  }

  async history(instanceId: string): Promise<readonly HistoryEvent[]> {
    return (await this.#written(instanceId))?.events ?? [];
  }

  /** An instance that is just being written is read again. */
  async #written(instanceId: string): Promise<Written | null> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#store.history.load(instanceId);
      } catch (error) {
        if (!(error instanceof HistoryConflict) || attempt === readAttemptsMax) throw error;
      }
    }
  }

  async page(
    filter: InstanceFilter,
    options: { readonly size: number; readonly token: string | null },
  ): Promise<{ readonly instances: Instance[]; readonly token: string | null }> {
    if (options.token !== null && !isPageToken(options.token)) {
      throw new Refused(400, 'x-ms-continuation-token: this is no token that a page ended with');
    }
    return this.#store.instances.page(filter, options);
  }

  /** One page of the entities that exist; empty only when there are no more. */
  async entities(
    filter: InstanceFilter,
    options: { readonly size: number; readonly token: string | null },
  ): Promise<{ readonly entities: readonly ListedEntity[]; readonly token: string | null }> {
    for (let { token } = options; ;) {
      const page = await this.page(filter, { size: options.size, token });
      const entities = page.instances.flatMap((instance) => {
        if (entityIdOf(instance.instanceId) === null) return [];
        const { exists, state } = entityStateIn(instance.input);
        return exists ? [{ instance, state }] : [];
      });
      if (entities.length > 0 || page.token === null) return { entities, token: page.token };
      token = page.token;
    }
  }

  /** `input`: JSON text. */
  async raise(instanceId: string, name: string, input: string): Promise<void> {
    await this.#send(instanceId, {
      EventType: EventType.EventRaised,
      ...unnumbered(Date.now()),
      Name: name,
      Input: input,
    });
  }

  async terminate(instanceId: string, reason: string): Promise<void> {
    await this.assertRunning(instanceId);
    await this.#send(instanceId, {
      EventType: EventType.ExecutionTerminated,
      ...unnumbered(Date.now()),
      Input: reason,
    });
  }

  async suspend(instanceId: string, reason: string): Promise<void> {
    const { runtimeStatus } = await this.assertRunning(instanceId);
    if (runtimeStatus === 'Suspended') throw cannot('suspend', instanceId, runtimeStatus);
    await this.#send(instanceId, {
      EventType: EventType.ExecutionSuspended,
      ...unnumbered(Date.now()),
      Reason: reason,
    });
  }

  async resume(instanceId: string, reason: string): Promise<void> {
    const { runtimeStatus } = await this.assertRunning(instanceId);
    if (runtimeStatus !== 'Suspended') throw cannot('resume', instanceId, runtimeStatus);
    await this.#send(instanceId, {
      EventType: EventType.ExecutionResumed,
      ...unnumbered(Date.now()),
      Reason: reason,
    });
  }

  async rewind(instanceId: string, reason: string): Promise<void> {
    const instance = await this.get(instanceId);
    if (instance === null) {
      throw new Refused(404, `No orchestration with instance ID "${instanceId}" found.`, 'text');
    }
    if (instance.runtimeStatus !== 'Failed' && finalStatuses.includes(instance.runtimeStatus)) {
      throw new Refused(410, `The instance '${instanceId}' is ${instance.runtimeStatus}.`, 'none');
    }
    if (instance.runtimeStatus !== 'Failed') {
      throw new Refused(
        412,
        `This orchestration has status ${instance.runtimeStatus}, but only orchestrations in the "Failed" state can be rewound.`,
        'text',
      );
    }
    await this.#send(instanceId, {
      EventType: EventType.ExecutionRewound,
      ...unnumbered(Date.now()),
      Reason: reason,
    });
  }

  async restart(instanceId: string, isNewId: boolean): Promise<string> {
    const instance = await this.get(instanceId);
    if (instance === null) {
      throw new Refused(
        400,
        `InstanceId does not match a valid orchestration instance: there is none with the id '${instanceId}'.`,
      );
    }
    const { name, input, version } = instance;
    return this.start({ name, input, version, instanceId: isNewId ? null : instanceId });
  }

  /** An orchestration must be over; an entity may be purged at any time. */
  async purge(instanceId: string): Promise<void> {
    const instance = await this.get(instanceId);
    if (instance === null) throw missing(instanceId);
    const isOver = finalStatuses.includes(instance.runtimeStatus);
    if (!isOver && entityIdOf(instanceId) === null) {
      throw new Refused(
        412,
        `Only orchestrations in a terminal state can be purged, but the orchestration with instance ID ${instanceId} has status ${instance.runtimeStatus}`,
        'text',
      );
    }
    await this.#purge(instanceId);
  }

  /** Returns how many: of those that match, the ones that are over. */
  async purgeBy(filter: InstanceFilter): Promise<number> {
    let count = 0;
    for await (const { instanceId, runtimeStatus } of this.#store.instances.all(filter)) {
      if (!finalStatuses.includes(runtimeStatus)) continue;
      await this.#purge(instanceId);
      count += 1;
    }
    return count;
  }

  async #purge(instanceId: string): Promise<void> {
    this.#forget(instanceId);
    await this.#store.purge(instanceId);
  }

  /** `input`: JSON text; null: none. */
  async signalEntity(entity: EntityId, operation: string, input: string | null): Promise<void> {
    const { entities } = this.#functions();
    if (!entities.some((one) => one.toLowerCase() === entity.name.toLowerCase())) {
      throw new Refused(400, unknownFunction(entity.name, 'entity', entities));
    }
    const fault = instanceIdFault(entityInstanceId(entity)) ?? characterFault(entity.key);
    if (fault !== null) throw new Refused(400, `Invalid entity key: ${fault}`);
    const id = randomUUID();
    await this.#send(entityInstanceId(entity), {
      EventType: EventType.EventRaised,
      ...unnumbered(Date.now()),
      Name: 'op',
      Input: JSON.stringify({ op: operation, signal: true, id, ...(input !== null && { input }) }),
    });
  }

  /** JSON text of the state; null: the entity does not exist. */
  async entityState(entity: EntityId): Promise<string | null> {
    const written = await this.#written(entityInstanceId(entity));
    const { exists, state } = entityStateOf(written);
    return exists ? (state ?? 'null') : null;
  }

  async #send(instanceId: string, event: HistoryEvent): Promise<void> {
    await this.#deliver({ id: `client:${randomUUID()}`, instanceId, executionId: null, event });
  }

  async assertRunning(instanceId: string): Promise<Instance> {
    const instance = await this.get(instanceId);
    if (instance === null) throw missing(instanceId);
    if (finalStatuses.includes(instance.runtimeStatus)) {
      throw new Refused(410, `The instance '${instanceId}' is ${instance.runtimeStatus}.`, 'none');
    }
    return instance;
  }
}

export interface ListedEntity {
  readonly instance: Instance;
  /** JSON text. */
  readonly state: string | null;
}

const instanceIdCharactersMax = 256;

function assertInstanceId(instanceId: string): void {
  const fault =
    instanceId.length > instanceIdCharactersMax
      ? `it has ${instanceId.length} characters`
      : instanceId.startsWith('@')
        ? 'it begins with @, as the ids of entities do'
        : (characterFault(instanceId) ?? instanceIdFault(instanceId));
  if (fault === null) return;
  throw new Refused(
    400,
    `'${instanceId}' is no instance id: ${fault}. It must have 1 to ${instanceIdCharactersMax} characters, none of / \\ # ? or control characters, and no @ at the start`,
  );
}

function characterFault(id: string): string | null {
  const found = /[/\\#?\u0000-\u001f\u007f-\u009f]/.exec(id)?.[0];
  return found === undefined ? null : `it holds ${JSON.stringify(found)}`;
}

/** What .NET throws there. */
function cannot(operation: string, instanceId: string, runtimeStatus: string): Refused {
  return thrown(
    500,
    `Cannot ${operation} the orchestration instance ${instanceId} because instance is in the ${runtimeStatus} state.`,
    'System.InvalidOperationException',
  );
}

function startedNow(options: {
  readonly name: string;
  readonly version: string | null;
  readonly input: string | null;
  readonly instanceId: string;
  readonly executionId: string;
}): ExecutionStarted {
  return {
    EventType: EventType.ExecutionStarted,
    ...unnumbered(Date.now()),
    Name: options.name,
    Version: options.version,
    Input: options.input,
    OrchestrationInstance: { InstanceId: options.instanceId, ExecutionId: options.executionId },
    ParentInstance: null,
  };
}

function startMessage(event: ExecutionStarted): Message {
  const { InstanceId, ExecutionId } = event.OrchestrationInstance;
  return { id: startId(ExecutionId), instanceId: InstanceId, executionId: ExecutionId, event };
}

function startId(executionId: string): string {
  return `start:${executionId}`;
}

function hasApplied(written: Written | null, messageId: string): boolean {
  return (
    written !== null &&
    (messageId in written.applied ||
      written.events.some(({ MessageId }) => MessageId === messageId))
  );
}

/** The history's last execution has ended, and the row does not wait for another one. */
function isOver(written: Written | null, { executionId, runtimeStatus }: Instance): boolean {
  if (written === null || completedEvent(written.events) === null) return false;
  return runtimeStatus !== 'Pending' || executionId === written.executionId;
}

function rowOf(event: ExecutionStarted): Instance {
  const createdTime = new Date(event.Timestamp);
  return {
    instanceId: event.OrchestrationInstance.InstanceId,
    executionId: event.OrchestrationInstance.ExecutionId,
    name: event.Name,
    version: event.Version,
    parentInstanceId: event.ParentInstance?.OrchestrationInstance.InstanceId ?? null,
    input: event.Input,
    output: null,
    customStatus: null,
    runtimeStatus: 'Pending',
    createdTime,
    lastUpdatedTime: createdTime,
    completedTime: null,
  };
}
