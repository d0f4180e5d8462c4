import type { HistoryEvent } from './history-event';
import type { Written } from './history-store';
import {
  finalStatuses,
  type Instance,
  type InstanceRow,
  type InstanceStore,
} from './instance-store';
import { entityIdOf } from './names';
import { completedEvent, isSuspendedBy, startedEvent } from './execution';

/** A row that changes in nothing but its time is written at most this often. */
const quietIntervalMs = 1_000;

/** Keeps one instance's row what its history says. */
export class StatusRow {
  readonly #instances: InstanceStore;
  /** Undefined: not read. */
  #row: InstanceRow | null | undefined;
  #shown = '';
  #shownAtMs = 0;

  constructor(instances: InstanceStore) {
    this.#instances = instances;
  }

  async show(written: Written): Promise<void> {
    const { customStatus } = written;
    const instance = instanceOf(written.instanceId, written.executionId, written.events);
    if (instance === null) return;
    const { executionId, runtimeStatus, input } = instance;
    const shown = JSON.stringify([executionId, runtimeStatus, customStatus, input?.length]);
    const isQuiet = shown === this.#shown && Date.now() - this.#shownAtMs < quietIntervalMs;
    if (isQuiet && entityIdOf(written.instanceId) === null) return;
    for (let written: InstanceRow | null = null; written === null;) {
      this.#row ??= await this.#instances.get(instance.instanceId);
      if (isNewStart(this.#row, instance)) return;
      const isEntity = entityIdOf(instance.instanceId) !== null;
      // An entity's history holds its last operation only.
      const createdTime = (isEntity && this.#row?.createdTime) || instance.createdTime;
      written = await this.#instances.put({ ...instance, createdTime, customStatus }, this.#row);
      this.#row = written ?? undefined;
    }
    this.#shown = shown;
    this.#shownAtMs = Date.now();
  }
}

/** The instance is over, and somebody has asked for its next execution: the row is that one's. */
function isNewStart(row: InstanceRow | null, instance: Omit<Instance, 'customStatus'>): boolean {
  return (
    finalStatuses.includes(instance.runtimeStatus) &&
    row?.runtimeStatus === 'Pending' &&
    row.executionId !== instance.executionId
  );
}

/** Null: nothing has started. */
function instanceOf(
  instanceId: string,
  executionId: string,
  events: readonly HistoryEvent[],
): Omit<Instance, 'customStatus'> | null {
  const started = startedEvent(events);
  if (started === null) return null;
  const completed = completedEvent(events);
  return {
    instanceId,
    executionId,
    name: started.Name,
    version: started.Version,
    parentInstanceId: started.ParentInstance?.OrchestrationInstance.InstanceId ?? null,
    input: started.Input,
    output: completed?.Result ?? null,
    runtimeStatus:
      completed?.OrchestrationStatus ?? (isSuspendedBy(events) ? 'Suspended' : 'Running'),
    createdTime: new Date(started.Timestamp),
    lastUpdatedTime: new Date(events.at(-1)?.Timestamp ?? started.Timestamp),
    completedTime: completed === null ? null : new Date(completed.Timestamp),
  };
}
