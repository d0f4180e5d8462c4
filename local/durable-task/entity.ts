/**
 * One entity as two pure steps around its function's run: which operations run now and which wait
 * for a lock; then what their results mean: the new state, answers and signals to send.
 */
import { EventType, type EventRaised, type Message } from './history-event';
import { entityIdOf, entityInstanceId, instanceIdFault, type EntityId } from './names';
import { unnumbered } from './execution';

/** A request as orchestrations, entities and clients send it: the input of an `op` event. */
export interface EntityRequest {
  readonly id: string;
  readonly op?: string;
  readonly signal?: boolean;
  /** JSON text. */
  readonly input?: string;
  readonly parent?: string;
  readonly parentExecution?: string;
  /** A request for a lock on these entities, in this order; `pos`: which of them is asked. */
  readonly lockset?: readonly string[];
  readonly pos?: number;
}

export interface EntityState {
  readonly exists: boolean;
  /** JSON text. */
  readonly state: string | null;
  /** Requests that wait until the lock is given back. */
  readonly queue: readonly EntityRequest[];
  readonly lockedBy: { readonly id: string; readonly parent: string } | null;
  /** Locks that were given back before they were asked for here: their requests may still come. */
  readonly released?: readonly string[];
}

const releasedMax = 100;

export const newEntity: EntityState = { exists: false, state: null, queue: [], lockedBy: null };

export interface EntityBegun {
  readonly state: EntityState;
  /** Operations for the function; empty: it need not run. */
  readonly batch: readonly EntityRequest[];
  /** Locks granted or passed on. */
  readonly outgoing: readonly Message[];
}

/** What the entity function is called with. */
export interface EntityInput {
  readonly self: EntityId;
  readonly exists: boolean;
  readonly state: string | null;
  readonly batch: readonly { name: string; input: string | null; isSignal: boolean; id: string }[];
}

/** What the package returns from it. */
export interface EntityOutput {
  readonly entityExists: boolean;
  readonly entityState?: string | null;
  readonly results: readonly { readonly isError: boolean; readonly result?: string }[];
  readonly signals: readonly {
    readonly target: EntityId;
    readonly name: string;
    readonly input?: string;
  }[];
}

/** Takes new messages in and chooses what runs: while locked, only the holder's operations. */
export function beginEntity(options: {
  readonly instanceId: string;
  readonly state: EntityState;
  readonly messages: readonly Message[];
  readonly nowMs: number;
}): EntityBegun {
  let { lockedBy } = options.state;
  let queue = [...options.state.queue];
  const released = new Set(options.state.released);
  const batch: EntityRequest[] = [];
  const outgoing: Message[] = [];
  const take = (request: EntityRequest): void => {
    const isAllowed = lockedBy === null || request.parent === lockedBy.parent;
    if (isAllowed && request.lockset === undefined) {
      batch.push(request);
    } else if (lockedBy === null) {
      lockedBy = { id: request.id, parent: request.parent ?? '' };
      outgoing.push(afterLock(request, options.nowMs));
    } else {
      queue.push(request);
    }
  };
  for (const { event } of options.messages) {
    if (event.EventType !== EventType.EventRaised) continue;
    const request = requestIn(event);
    if (request === null) continue;
    if (event.Name === 'op') {
      if (request.lockset === undefined || !released.delete(request.id)) take(request);
    } else if (lockedBy?.id === request.id) {
      lockedBy = null;
      const waiting = queue;
      queue = [];
      waiting.forEach(take);
    } else {
      const at = queue.findIndex(({ id, lockset }) => lockset !== undefined && id === request.id);
      if (at >= 0) queue.splice(at, 1);
      else released.add(request.id);
    }
  }
  const { exists, state } = options.state;
  return {
    state: {
      ...{ exists, state, queue, lockedBy },
      ...(released.size > 0 && { released: [...released].slice(-releasedMax) }),
    },
    ...{ batch, outgoing },
  };
}

/** Null: it is none. A client may raise any event at any instance, by its id. */
function requestIn({ Input, Name }: EventRaised): EntityRequest | null {
  if (Name !== 'op' && Name !== 'release') return null;
  const request: unknown = JSON.parse(Input ?? 'null');
  return isRequest(request) ? request : null;
}

function isRequest(value: unknown): value is EntityRequest {
  if (typeof value !== 'object' || value === null) return false;
  const request = value as Partial<Record<keyof EntityRequest, unknown>>;
  const { id, input, lockset = [], op, parent, parentExecution, pos = 0, signal = false } = request;
  const isTextOrAbsent = (one: unknown): boolean => one === undefined || typeof one === 'string';
  return (
    typeof id === 'string' &&
    [input, op, parentExecution].every(isTextOrAbsent) &&
    (parent === undefined || isInstanceId(parent)) &&
    typeof signal === 'boolean' &&
    Number.isSafeInteger(pos) &&
    Array.isArray(lockset) &&
    lockset.every(isInstanceId)
  );
}

function isInstanceId(value: unknown): boolean {
  return typeof value === 'string' && instanceIdFault(value) === null;
}

/** On to the next entity of the set; after the last, the asker has them all. */
function afterLock(request: EntityRequest, nowMs: number): Message {
  const { lockset = [], pos = 0 } = request;
  const next = lockset[pos + 1];
  if (next === undefined) return answer(request, { result: 'null' }, nowMs);
  return raised(
    {
      id: `lock:${request.id}:${pos + 1}`,
      instanceId: next,
      executionId: null,
      name: 'op',
      input: { ...request, pos: pos + 1 },
    },
    nowMs,
  );
}

export function inputOfBatch(
  instanceId: string,
  state: EntityState,
  batch: readonly EntityRequest[],
): EntityInput {
  return {
    self: entityIdOf(instanceId) ?? { name: '', key: '' },
    exists: state.exists,
    state: state.state,
    batch: batch.map(({ id, op, input, signal }) => ({
      id,
      name: op ?? '',
      input: input ?? null,
      isSignal: signal === true,
    })),
  };
}

/** What a batch's results mean. Signals of entities get ids from `newId`. */
export function finishEntity(options: {
  readonly begun: EntityBegun;
  readonly output: EntityOutput;
  readonly newId: () => string;
  readonly nowMs: number;
}): { readonly state: EntityState; readonly outgoing: readonly Message[] } {
  const { begun, output, newId, nowMs } = options;
  const answers = begun.batch.flatMap((request, index) => {
    if (request.signal === true || request.parent === undefined) return [];
    const { isError = true, result } = output.results[index] ?? {};
    return [
      answer(
        request,
        { ...(result !== undefined && { result }), ...(isError && { exceptionType: 'Error' }) },
        nowMs,
      ),
    ];
  });
  const signals = output.signals.map(({ target, name, input }) => {
    const id = newId();
    return raised(
      {
        id,
        instanceId: entityInstanceId(target),
        executionId: null,
        name: 'op',
        input: { op: name, signal: true, id, ...(input && { input }) },
      },
      nowMs,
    );
  });
  return {
    state: {
      ...begun.state,
      exists: output.entityExists,
      state: output.entityExists ? (output.entityState ?? null) : null,
    },
    outgoing: [...begun.outgoing, ...answers, ...signals],
  };
}

/** The function could not run: the state stays, every caller hears why. */
export function failEntity(
  begun: EntityBegun,
  message: string,
  nowMs: number,
): { readonly state: EntityState; readonly outgoing: readonly Message[] } {
  return finishEntity({
    begun,
    output: {
      entityExists: begun.state.exists,
      entityState: begun.state.state,
      results: begun.batch.map(() => ({ isError: true, result: JSON.stringify(message) })),
      signals: [],
    },
    newId: () => '',
    nowMs,
  });
}

function answer(request: EntityRequest, input: unknown, nowMs: number): Message {
  return raised(
    {
      id: `answer:${request.id}`,
      instanceId: request.parent ?? '',
      executionId: request.parentExecution ?? null,
      name: request.id,
      input,
    },
    nowMs,
  );
}

function raised(
  to: {
    readonly id: string;
    readonly instanceId: string;
    readonly executionId: string | null;
    readonly name: string;
    readonly input: unknown;
  },
  nowMs: number,
): Message {
  return {
    id: to.id,
    instanceId: to.instanceId,
    executionId: to.executionId,
    event: {
      EventType: EventType.EventRaised,
      ...unnumbered(nowMs),
      Name: to.name,
      Input: JSON.stringify(to.input),
    },
  };
}
