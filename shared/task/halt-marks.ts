import { haltFolder, haltMarkName } from '../model/control-names';
import { StreamError } from '../model/errors';
import type { Clock, ObjectStore, Telemetry } from '../model/ports';
import type { StagePlan } from '../model/program';

/** A task that stopped because going on would break a promise, and why. */
export interface HaltMark {
  readonly format: 1;
  readonly topology: string;
  readonly stage: string;
  readonly functionName: string;
  readonly partition: string;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
  /** The process that met it. */
  readonly writer: string;
}

interface HaltMarkServices {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly writer: string;
}

/**
 * Leaves the cause of a halted task in the store, where commands and other workers find it: the
 * host's log is on one machine and long. A mark is for people; no decision of the engine reads it.
 * Written and deleted at least once, by whichever process met the cause or its end.
 */
export class HaltMarks {
  readonly #plan: StagePlan;
  readonly #services: HaltMarkServices;
  /** Partitions that may have a mark, of this process or one before it. */
  readonly #suspected = new Set<string>();
  /** What this process has written, so that each repetition of a cause costs nothing. */
  readonly #written = new Map<string, string>();

  constructor(plan: StagePlan, services: HaltMarkServices) {
    this.#plan = plan;
    this.#services = services;
  }

  /** A task was opened: a process before this one may have left a mark. */
  opened(partition: string): void {
    this.#suspected.add(partition);
  }

  /** Marks the task when its failure is one that halts it; nothing otherwise. Never rejects. */
  async failed(partition: string, error: unknown): Promise<void> {
    if (!(error instanceof StreamError) || error.disposition !== 'halt') return;
    // Another build goes on with the task: nothing has halted.
    if (error.code === 'STREAM_BUILD_SUPERSEDED') return;
    this.#suspected.add(partition);
    if (this.#written.get(partition) === error.message) return;
    const { clock, objects, telemetry, writer } = this.#services;
    const { functionName, name: stage, topology } = this.#plan;
    const { code, message } = error;
    const place = { topology, stage, functionName, partition };
    telemetry.emit('error', 'task.halted', { ...place, code, error: message });
    const mark: HaltMark = {
      ...{ format: 1, ...place, code, message, writer },
      atMs: clock.nowMs(),
    };
    try {
      await objects.put(haltMarkName(functionName, partition), Buffer.from(JSON.stringify(mark)));
      this.#written.set(partition, message);
    } catch (failure) {
      telemetry.emit('warn', 'task.halt-not-marked', { ...place, error: String(failure) });
    }
  }

  /** All that was due was done: whatever halted the task is over. Never rejects. */
  async wentOn(partition: string): Promise<void> {
    if (!this.#suspected.has(partition)) return;
    const { objects, telemetry } = this.#services;
    const { functionName } = this.#plan;
    try {
      await objects.delete(haltMarkName(functionName, partition));
      this.#suspected.delete(partition);
      this.#written.delete(partition);
    } catch (error) {
      const place = { functionName, partition };
      telemetry.emit('warn', 'task.halt-not-unmarked', { ...place, error: String(error) });
    }
  }
}

/** Every mark there is, oldest first; one that cannot be read is left out. */
export async function readHaltMarks(
  objects: Pick<ObjectStore, 'list' | 'get'>,
): Promise<readonly HaltMark[]> {
  const marks: HaltMark[] = [];
  for (const { name } of await objects.list(haltFolder)) {
    const mark = parseMark(await objects.get(name));
    if (mark !== null) marks.push(mark);
  }
  return marks.sort((left, right) => left.atMs - right.atMs);
}

/** A reset is over: whatever was halted by it until then is no more. */
export async function clearResetHalts(
  objects: Pick<ObjectStore, 'list' | 'get' | 'delete'>,
  topology: string,
): Promise<void> {
  for (const mark of await readHaltMarks(objects)) {
    if (mark.topology !== topology || mark.code !== 'STREAM_RESET_UNFINISHED') continue;
    await objects.delete(haltMarkName(mark.functionName, mark.partition));
  }
}

/** Null: it was deleted meanwhile, or is of another format. */
function parseMark(bytes: Uint8Array | undefined): HaltMark | null {
  if (bytes === undefined) return null;
  try {
    const mark = JSON.parse(Buffer.from(bytes).toString('utf8')) as HaltMark | null;
    return mark?.format === 1 ? mark : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
