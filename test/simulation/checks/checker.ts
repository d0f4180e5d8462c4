import { decodeRecords } from '../../../shared/commit-log/record';
import { generationName, parseGenerationName } from '../../../shared/commit-log/names';
import type { CommitRecord, HeaderRecord, LogRecord } from '../../../shared/model/commit';
import type { JobLine } from '../../../shared/operations/jobs/job-state';
import type { HubWatcher, StoredPlace } from '../world/hubs';
import type { StoreWatcher } from '../world/stores';
import { exchangeHub, sourceHub, sourceStage, topologyName, windowStage } from '../world/topology';
import { tablesOf } from './tables';
import { claimsText, type ClaimsText } from './envelope-text';
import { holds, same } from './invariants';
import { JobModel } from './job-model';
import { OutboxModel } from './outbox-model';
import { PlanModel, type PlanModelOptions } from './plan-model';
import { RecordedHubs } from './recorded-hubs';
import { SourceTaskModel } from './source-task';
import type { ModelContext, TaskModel } from './task-model';
import { endVersion } from './version-model';
import { WindowTaskModel } from './window-task';
import type { TaskAddress } from '../../../shared/model/task-address';

interface GenerationSeen {
  records: number;
  end: 'open' | 'sealed';
}

export interface CheckerOptions extends Omit<ModelContext, 'hubs'>, PlanModelOptions {
  readonly blocksMax: number;
  readonly blockBytesMax: number;
  /** The first invariant that breaks ends the run. */
  readonly onBroken: (error: Error) => void;
}

/** Hears of every change in stores and hubs, in the moment in which it becomes true. */
export class Checker implements StoreWatcher, HubWatcher {
  readonly hubs = new RecordedHubs();
  readonly sources = new Map<string, SourceTaskModel>();
  readonly windows = new Map<string, WindowTaskModel>();
  readonly tables = tablesOf();
  readonly outbox = new OutboxModel();
  readonly jobs = new Map<string, JobModel>();
  readonly plans: PlanModel;
  commits = 0;
  /** Events that were on their way through the exchange when a version ended. */
  droppedBetweenVersions = 0;
  readonly #options: CheckerOptions;
  readonly #generations = new Map<string, GenerationSeen>();
  readonly #snapshots = new Map<string, Uint8Array>();
  /** Versions that the store says to have begun. */
  readonly #begun = new Set<string>();
  readonly #plans = new Map<string, Uint8Array>();
  readonly #partitionOfKey = new Map<string, number>();

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.plans = new PlanModel(options);
  }

  onAppend(name: string, block: Uint8Array): void {
    this.#checking(() => {
      if (!name.startsWith('commits/')) {
        this.#onJournal(name, block);
        return;
      }
      const parsed = parseGenerationName(name);
      holds(parsed !== undefined, 'I7', () => `no log is called ${name}`);
      holds(block.byteLength <= this.#options.blockBytesMax, 'I12', () => {
        return `${name}: a record of ${block.byteLength} bytes`;
      });
      const generation = this.#generations.get(name) ?? { records: 0, end: 'open' };
      this.#generations.set(name, generation);
      for (const { record } of decodeRecords(block, { blob: name, position: 0 })) {
        holds(generation.end === 'open', 'I5', () => `${name}: a ${record.kind} after its seal`);
        same(generation.records === 0, record.kind === 'header', 'I5', `${name}: begins a log`);
        if (record.kind === 'header') this.#followsSeal(parsed);
        generation.records += 1;
        if (record.kind === 'seal') generation.end = 'sealed';
        this.#onRecord(parsed, record);
      }
      // Beyond its limit: the seal, what workers append before they see that it must roll, attempts.
      const most = this.#options.blocksMax + this.#options.attemptsMax + 12;
      holds(generation.records <= most, 'I12', () => {
        return `${name} holds ${generation.records} records`;
      });
    });
  }

  #onJournal(name: string, block: Uint8Array): void {
    const id = /^jobs\/([^/]+)\/journal$/.exec(name)?.[1];
    if (id === undefined) return;
    const job = known(this.jobs, id, () => new JobModel(id, this.#plans));
    for (const line of Buffer.from(block).toString().split('\n')) {
      if (line !== '') job.onLine(JSON.parse(line) as JobLine);
    }
  }

  /** A generation begins after the one before it can no longer be appended to. */
  #followsSeal({ generation, path }: { path: TaskAddress; generation: number }): void {
    if (generation === 0) return;
    const before = this.#generations.get(generationName(path, generation - 1));
    const isOpen = before !== undefined && before.end === 'open';
    holds(!isOpen, 'I5', () => `${path.stage}/${path.partition}: ${generation - 1} is not sealed`);
  }

  #onRecord(place: { path: TaskAddress; generation: number }, record: LogRecord): void {
    const { incarnation, partition, stage, version } = place.path;
    const model = this.#model(stage, partition);
    if (model.version !== version) this.#beginVersion(model, version);
    if (model.incarnation !== incarnation) model.beginIncarnation(incarnation);
    switch (record.kind) {
      case 'commit':
        this.#onCommit(model, record);
        break;
      case 'attempt':
        this.plans.mayAppend(model.log, record.writer);
        model.onAttempt(record);
        break;
      case 'plan':
        this.plans.heardBy(model.log, record, version);
        break;
      case 'seal':
        if (record.isFinal) this.#owesNothing(model);
        break;
      case 'header':
        this.#onHeader(model, place, record);
        break;
      default:
        record satisfies never;
    }
  }

  #onCommit(model: SourceTaskModel | WindowTaskModel, record: CommitRecord): void {
    this.commits += 1;
    const { shape } = this.plans.mayAppend(model.log, record.writer);
    const own = this.tables.filter(({ stage }) => stage === model.stage);
    for (const { isOf, lake } of own) {
      // What a build with this table made has left before one without it commits.
      if (!isOf(shape)) lake.mustHold(nameOf(model), model.commit);
    }
    model.onCommit(record, shape);
    for (const { lake } of own) lake.onCommit(nameOf(model), record);
    this.outbox.onCommit(nameOf(model), record);
  }

  /** A header says what the commits before it came to, and what the state is made of. */
  #onHeader(
    model: SourceTaskModel | WindowTaskModel,
    { generation, path }: { path: TaskAddress; generation: number },
    header: HeaderRecord,
  ): void {
    const { afterCommit, base, summary } = header;
    const { name } = model;
    this.plans.carriedOn(model.log, header, path.version);
    // Whoever ends a version ends logs, too, that a worker has just made: with nothing, for good.
    if (header.writer.startsWith('version/') && summary === null && generation === 0) return;
    same(afterCommit, model.commit, 'I7', `${name}: last commit before a generation`);
    if (summary !== null) {
      same(summary.cursor, model.cursor, 'I7', `${name}: cursor of a summary`);
      const sorted = (counts: object): unknown => Object.entries(counts).sort();
      same(sorted(summary.ledger), sorted(model.ledger), 'I7', `${name}: ledger of a summary`);
    }
    if (base === null) {
      if (generation === 0) same(model.commit, 0, 'I7', `${name}: commits before an empty state`);
      return;
    }
    holds(base.commit <= afterCommit, 'I7', () => `${name}: a snapshot of what is to come`);
    for (const part of base.parts) {
      holds(this.#snapshots.has(part.name), 'I4', () => `${name}: ${part.name} is not there`);
    }
    // What is read on from must be there; what was before it must have left.
    for (let number = base.generation; number < generation; number += 1) {
      const isThere = this.#generations.has(generationName(path, number));
      holds(isThere, 'I4', () => `${name}: generation ${number} is gone and built on`);
    }
  }

  #owesNothing(task: TaskModel): void {
    this.outbox.mustHaveLeft(nameOf(task), task.commit);
    for (const { lake } of this.tables) lake.mustHold(nameOf(task), task.commit);
  }

  #beginVersion(task: TaskModel, version: string): void {
    holds(this.#begun.has(version), 'I4', () => `${task.name}: ${version} has not begun`);
    task.beginVersion(version);
  }

  #model(stage: string, partition: string): SourceTaskModel | WindowTaskModel {
    const context = { ...this.#options, hubs: this.hubs };
    if (stage === sourceStage) {
      const task = { stage, partition, hub: sourceHub };
      return known(
        this.sources,
        partition,
        () => new SourceTaskModel(task, context, this.#partitionOfKey),
      );
    }
    const task = { stage: windowStage, partition, hub: exchangeHub };
    return known(this.windows, partition, () => new WindowTaskModel(task, context));
  }

  onLogDeleted(name: string): void {
    this.#checking(() => {
      const parsed = parseGenerationName(name);
      const generation = this.#generations.get(name);
      if (parsed === undefined || generation === undefined) return;
      holds(generation.end === 'sealed', 'I4', () => `${name} is deleted while it is open`);
      this.#generations.delete(name);
    });
  }

  onPut(name: string, bytes: Uint8Array): void {
    this.#checking(() => {
      if (name.startsWith('snapshots/')) this.#snapshots.set(name, bytes);
      if (name.startsWith('jobs/')) this.#plans.set(name, bytes);
      this.plans.onPut(name, bytes);
      if (/^control\/[^/]+\/versions\//.test(name)) {
        this.droppedBetweenVersions += endVersion(bytes, this);
        this.#begun.add(/([^/]+)\.json$/.exec(name)?.[1] ?? '');
      }
      for (const { lake } of this.tables) lake.onPut(name, bytes);
    });
  }

  onObjectDeleted(name: string): void {
    this.#checking(() => {
      for (const { lake } of this.tables) lake.onDeleted(name);
    });
  }

  onStored(hub: string, place: StoredPlace, body: Buffer): void {
    this.#checking(() => {
      this.hubs.stored(hub, place, body);
      if (hub !== exchangeHub) return;
      const claims = claimsText(body);
      if (claims === null) this.outbox.onStored(place.partition, body);
      else this.#areTrue(claims);
    });
  }

  /** What is claimed of a partition was so: read to there, and all that was made of it has been sent. */
  #areTrue({ claims, ends, topologyVersion }: ClaimsText): void {
    for (const { cursor, partition } of claims) {
      const [incarnation, sequenceNumber] = cursor;
      const { bodies } = this.hubs.partition(sourceHub, incarnation, partition);
      const task = this.sources.get(partition);
      const isRead =
        sequenceNumber === 0 ||
        task?.incarnation !== incarnation ||
        task.version !== topologyVersion ||
        (task.cursor?.sequenceNumber ?? 0) >= sequenceNumber;
      const where = `${sourceStage}/${partition} is claimed at ${sequenceNumber}`;
      holds(sequenceNumber <= bodies.length, 'I8', () => `${where}, its hub ends before`);
      holds(isRead, 'I8', () => `${where}, which nobody has read`);
      same(ends[`${sourceStage}/${partition}`], cursor, 'I8', `${where}: its own end`);
    }
  }

  #checking(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#options.onBroken(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** As tables and outboxes name it, without its birth. */
function nameOf({ name, version }: TaskModel): string {
  return `${topologyName}/${version}/${name}`;
}

function known<Value>(map: Map<string, Value>, name: string, make: () => Value): Value {
  let value = map.get(name);
  if (value === undefined) map.set(name, (value = make()));
  return value;
}
