import { Type, type Static } from 'typebox';
import { StreamError } from '../../../model/errors';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../../model/commit';
import type { AppendStore, Clock, HubReader, ObjectStore, Telemetry } from '../../../model/ports';
import type { StagePlan } from '../../../model/program';
import type { LakeTable } from '../../../lake/lake-table';
import { tableFolder, decodePath } from '../../../lake/names';
import { isTimeOver } from '../../../time/exchange-time';
import { assertDistinctNames } from '../../../lake/read-file';
import { replaceFiles } from '../../../lake/replace-files';
import { columnsOfTable } from '../../../lake/schema';
import { readTable, replaceOperation } from '../../../lake/table-reader';
import { Runtime } from '../../../task/runtime';
import type { CompiledStage, StageServices } from '../../../task/services';
import type { TablePlan } from '../../../model/table';
import { LedgerReader } from '../../../ledger/ledger-reader';
import { captureContainer } from '../../backfill/capture-file';
import type { SourceTable } from '../../backfill/file-lines';
import { FileSource, isSourceFile, type FilePartition } from '../../backfill/file-source';
import { HubRange, rangesOf } from '../../backfill/hub-range';
import { ownPart, type Reading, type ReadingFrom } from '../../backfill/reading';
import {
  scratchAppends,
  ScratchExchange,
  scratchObjects,
  ScratchSender,
} from '../../backfill/scratch-stores';
import type { SurveyedStage } from '../../../supervision/survey/surveyor';
import type { JobKind, PieceContext } from '../job-kind';
import { tableOf } from './compact';

const instant = Type.Union([Type.Number(), Type.Null()]);

const backfillSource = Type.Union([
  Type.Object({ kind: Type.Literal('hub'), fromMs: instant, toMs: instant }),
  /** Files of the lake container under a prefix, or the live files of one of its tables. */
  Type.Object({ kind: Type.Literal('files'), prefix: Type.String() }),
  Type.Object({ kind: Type.Literal('table'), table: Type.String() }),
  /** What Event Hubs Capture wrote under a prefix of its container. */
  Type.Object({ kind: Type.Literal('capture'), prefix: Type.String() }),
]);

type BackfillSource = Static<typeof backfillSource>;

const backfillOptions = Type.Object({
  topology: Type.String(),
  /** Which source of the topology the events are for; it may be left out where there is one. */
  source: Type.Union([Type.String(), Type.Null()]),
  from: backfillSource,
  /** `beside`: the new tables stay where they were made; `swap`: they take the old ones' place. */
  outcome: Type.Union([Type.Literal('beside'), Type.Literal('swap')]),
  /** Tasks of each stage, where the events come from files. */
  partitions: Type.Integer({ minimum: 1, maximum: 1_000 }),
});

export type BackfillOptions = Static<typeof backfillOptions>;

interface BackfillPlanSummary {
  readonly topology: string;
  readonly outcome: BackfillOptions['outcome'];
  /** Tables as they stood when the job was planned, by name. */
  readonly versions: Readonly<Record<string, number>>;
}

interface BackfillWork {
  readonly functionName: string;
  readonly partition: string;
  /** Of every exchange of the backfill. */
  readonly partitionCount: number;
  /** Where the stage's events come from: a stretch of its hub, files, or what the phase before sent. */
  readonly from: ReadingFrom;
}

interface BackfillResult {
  readonly functionName: string;
  readonly ledger: LedgerCounts;
}

export interface BackfillWorld {
  readonly appends: AppendStore;
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  readonly capture: ObjectStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly stages: readonly SurveyedStage[];
  readonly compile: (plan: StagePlan) => CompiledStage;
  readonly openTable: (plan: TablePlan, objects: ObjectStore) => LakeTable;
}

/** One turn of reading: between two of them the lease is renewed. */
const turnMs = 5_000;

/**
 * Processes events again with the same code as live: the same stages on the same engine, in a
 * world of their own under `backfills/<job>/`: commit logs, tables, and blobs in the place of
 * exchanges. So a piece that is killed goes on from its own commit log, and nothing is twice.
 * Stages run one after the other; a consumer reads its producers' messages when they are all there.
 */
export function backfillKind(world: BackfillWorld): JobKind {
  return {
    name: 'backfill',
    options: backfillOptions,
    plan: (given) => planBackfill(world, given as BackfillOptions),
    run: (given, context) => runPiece(world, given as BackfillWork, context),
    split: () => null,

    async report(_options, { failures, planSummary, results }, { folder }) {
      const { outcome, topology, versions } = planSummary as BackfillPlanSummary;
      const ledgers: Record<string, LedgerCounts> = {};
      for (const { functionName, ledger } of results as readonly BackfillResult[]) {
        ledgers[functionName] = addLedgers(ledgers[functionName] ?? emptyLedger, ledger);
      }
      const made = scratchObjects(world.lake, lakePrefix(folder));
      const tables: Record<string, unknown>[] = [];
      let isRight = true;
      for (const [name, version] of Object.entries(versions)) {
        const plan = tableOf(
          world.stages.flatMap((stage) => stage.plan.tables),
          name,
        );
        const read = await readTable({
          ...{ objects: made, folder: tableFolder(name), format: plan.format },
        });
        const table = { name, rows: read.rows, at: `${lakePrefix(folder)}${tableFolder(name)}` };
        if (outcome === 'beside' || failures.length > 0) {
          tables.push(table);
          continue;
        }
        const swapped = await swapIn(world, { plan, made, version, token: folder });
        isRight &&= swapped.isDone;
        tables.push({ ...table, swapped: swapped.text });
      }
      return { summary: { topology, outcome, ledgers, tables }, isRight };
    },
  };
}

function lakePrefix(folder: string): string {
  return `backfills/${folder.slice('jobs/'.length)}`;
}

async function planBackfill(
  world: BackfillWorld,
  options: BackfillOptions,
): Promise<{ pieces: { phase: number; work: BackfillWork }[]; summary: BackfillPlanSummary }> {
  const stages = world.stages.filter(({ plan }) => plan.topology === options.topology);
  const sources = stages.filter(({ plan }) => plan.input.kind === 'source');
  const chosen =
    options.source === null && (options.from.kind === 'hub' || sources.length === 1)
      ? sources
      : sources.filter(({ plan }) => plan.name === options.source);
  if (chosen.length === 0) {
    const names = sources.map(({ plan }) => plan.name).join(', ');
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `say for which source of ${options.topology} the events are (--source): ${names}`,
    );
  }
  if (options.outcome === 'swap') await assertAtRest(world, options, stages);
  const readings = new Map<string, Reading>();
  for (const stage of chosen) readings.set(stage.plan.name, await readingOf(world, stage, options));
  // One for all exchanges: several sources, of different counts, may send to one.
  const counts = Array.from(readings.values(), ({ partitions }) => partitions.length);
  const partitionCount = Math.max(0, ...counts);
  const partitions = Array.from({ length: partitionCount }, (_, index) => String(index));
  const pieces: { phase: number; work: BackfillWork }[] = [];
  for (const [phase, { plan }] of stages.entries()) {
    const { functionName, input, name } = plan;
    if (input.kind === 'exchange' && input.producers.some(({ stage }) => readings.has(stage))) {
      readings.set(name, { from: { kind: 'exchange', hub: input.hub }, partitions });
    }
    const reading = readings.get(name);
    if (reading === undefined) continue;
    for (const partition of reading.partitions) {
      const from = ownPart(reading.from, partition);
      pieces.push({ phase, work: { functionName, partition, partitionCount, from } });
    }
  }
  const versions: Record<string, number> = {};
  for (const { name, format } of stages.flatMap(({ plan }) => plan.tables)) {
    const table = { objects: world.lake, folder: tableFolder(name), format };
    versions[name] = (await readTable(table)).version;
  }
  return { pieces, summary: { topology: options.topology, outcome: options.outcome, versions } };
}

async function readingOf(
  world: BackfillWorld,
  { services }: SurveyedStage,
  options: BackfillOptions,
): Promise<Reading> {
  if (options.from.kind === 'hub') {
    const ranges = await rangesOf(services.hub, options.from);
    return {
      from: { kind: 'hub', ranges },
      partitions: ranges.map(({ partition }) => partition),
    };
  }
  const spread = spreadFiles(await sourceFiles(world, options.from), options.partitions);
  const store = options.from.kind === 'capture' ? 'capture' : 'lake';
  return {
    from: { kind: 'files', store, partitions: spread },
    partitions: spread.map(({ partition }) => partition),
  };
}

/** New tables may take the place of old ones only if these hold all that was read, and no more comes. */
async function assertAtRest(
  world: BackfillWorld,
  options: BackfillOptions,
  stages: readonly SurveyedStage[],
): Promise<void> {
  const isPart =
    options.from.kind !== 'hub' || options.from.fromMs !== null || options.from.toMs !== null;
  if (isPart) {
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      'only all of a hub can take the place of the tables (--swap without --since, --until, --files and --table): rows of other events would be lost. Without --swap the new tables are kept beside',
    );
  }
  const { appends } = world;
  const accounts = await new LedgerReader({
    appends,
    topology: options.topology,
  }).refresh();
  const isEnded = accounts.every(({ watermarkMs }) => isTimeOver(watermarkMs));
  if (accounts.length === 0 || isEnded) return;
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `${options.topology} is still running (${stages.length} stages): drain it first (millrace drain ${options.topology}), so that its tables are whole; without --swap the new tables are kept beside`,
  );
}

async function sourceFiles(
  world: BackfillWorld,
  from: Exclude<BackfillSource, { kind: 'hub' }>,
): Promise<SourceFiles> {
  const { names, where, ...files } = await namesOf(world, from);
  if (names.length > 0) return { ...files, names: names.slice().sort() };
  throw new StreamError('STREAM_CONFIGURATION_INVALID', `there is no file in ${where}`);
}

/** Files to read, and where they were looked for. */
async function namesOf(
  { capture, lake, stages }: BackfillWorld,
  from: Exclude<BackfillSource, { kind: 'hub' }>,
): Promise<SourceFiles & { readonly where: string }> {
  if (from.kind === 'table') {
    if (!/^[^/\\]+$/.test(from.table) || /^\.+$/.test(from.table)) {
      throw new StreamError(
        'STREAM_CONFIGURATION_INVALID',
        `"${from.table}" is not the name of a table`,
      );
    }
    const plans = stages.flatMap(({ plan }) => plan.tables);
    const format = plans.find(({ name }) => name === from.table)?.format ?? 'delta';
    const table = { objects: lake, folder: tableFolder(from.table), format };
    const { files, metaData } = await readTable(table);
    const columns = metaData === undefined ? [] : columnsOfTable(metaData);
    assertDistinctNames(columns);
    const values = files.map(({ name, partitionValues }) => [name, partitionValues] as const);
    return {
      names: files.map(({ name }) => name),
      where: `table ${from.table}`,
      ...(metaData && {
        table: {
          ...{ format, columns },
          partitionBy: metaData.partitionColumns,
          partitionValues: Object.fromEntries(values),
        },
      }),
    };
  }
  const isCapture = from.kind === 'capture';
  const listed = await (isCapture ? capture : lake).list(from.prefix);
  const where = isCapture
    ? `container ${captureContainer} under ${from.prefix} (Avro of Event Hubs Capture)`
    : `the lake under ${from.prefix} (NDJSON, gzip of it, Parquet, or Avro of Event Hubs Capture)`;
  return { names: listed.map(({ name }) => name).filter(isSourceFile), where };
}

interface SourceFiles {
  readonly names: readonly string[];
  readonly table?: SourceTable;
}

function spreadFiles({ names, table }: SourceFiles, partitions: number): FilePartition[] {
  const count = Math.max(1, partitions);
  return Array.from({ length: count }, (_, index) => {
    const files = names.filter((_name, place) => place % count === index);
    const partition = String(index);
    if (table === undefined) return { partition, files };
    const values = files.map((name) => [name, table.partitionValues[name] ?? {}] as const);
    return { partition, files, table: { ...table, partitionValues: Object.fromEntries(values) } };
  });
}

/** A piece knows of the other partitions that they are there: all files in each would be too many. */
async function runPiece(
  world: BackfillWorld,
  work: BackfillWork,
  context: PieceContext,
): Promise<BackfillResult> {
  const { functionName, partition } = work;
  const stage = world.stages.find(({ plan }) => plan.functionName === functionName);
  if (stage === undefined) throw new Error(`this build has no stage ${functionName}`);
  const services = scratchServices(world, stage, work, context);
  const runtime = new Runtime({
    stages: [{ stage: world.compile(stage.plan), services }],
    hubCheckIntervalMs: Number.MAX_SAFE_INTEGER,
    // When all input is read the watermark moves to the end of time, and every row is flushed.
    isDraining: async () => true,
  });
  const { lastSequenceNumber } = await services.hub.bounds(partition);
  for (;;) {
    const report = await runtime.tendTask({
      ...{ functionName, partition, isRecovery: true },
      deadlineMs: Math.min(context.deadlineMs, world.clock.nowMs() + turnMs),
    });
    const isRead = report.nextSequenceNumber > lastSequenceNumber;
    if (isRead && report.commits === 0 && report.isOutboxSent) break;
    await context.beat(report.nextSequenceNumber, lastSequenceNumber + 1);
    if (report.commits === 0 && world.clock.nowMs() >= context.deadlineMs) {
      throw new Error(
        'its time was over; what it committed is kept, the next try goes on from there',
      );
    }
  }
  const { appends } = services;
  const { name, topology } = stage.plan;
  const accounts = await new LedgerReader({ appends, topology }).refresh();
  const own = accounts.find(({ path }) => path.stage === name && path.partition === partition);
  return { functionName, ledger: own?.ledger ?? emptyLedger };
}

function scratchServices(
  world: BackfillWorld,
  stage: SurveyedStage,
  work: BackfillWork,
  context: PieceContext,
): StageServices {
  const prefix = lakePrefix(context.folder);
  const appends = scratchAppends(world.appends, prefix);
  const lake = scratchObjects(world.lake, prefix);
  const { partition, partitionCount } = work;
  const tables = new Map<string, LakeTable>();
  return {
    ...stage.services,
    // Those of the live hub: a backfill's source has other numbers.
    checkpoints: null,
    telemetry: withoutLagAlarms(stage.services.telemetry),
    appends,
    objects: scratchObjects(world.objects, prefix),
    hub: sourceOf(world, stage.services.hub, work, { appends, context }),
    sender: new ScratchSender(appends, {
      partitionCount,
      producer: `${stage.plan.name}-${partition}`,
    }),
    lakeTable: (plan) => {
      let table = tables.get(plan.name);
      if (table === undefined) tables.set(plan.name, (table = world.openTable(plan, lake)));
      return table;
    },
  };
}

/** History is behind and no trigger reads it: what rings an alert of a live task is no news here. */
function withoutLagAlarms(telemetry: Telemetry): Telemetry {
  return {
    emit: (level, event, fields) => {
      if (event !== 'task.behind' && event !== 'task.stalled') telemetry.emit(level, event, fields);
    },
  };
}

function sourceOf(
  world: BackfillWorld,
  hub: HubReader,
  work: BackfillWork,
  { appends, context }: { readonly appends: AppendStore; readonly context: PieceContext },
): HubReader {
  switch (work.from.kind) {
    case 'hub':
      return new HubRange(hub, work.from.ranges);
    case 'files':
      return new FileSource(world[work.from.store], work.from.partitions, () => context.beat());
    case 'exchange':
      return new ScratchExchange(appends, {
        hub: work.from.hub,
        partitionCount: work.partitionCount,
      });
    default:
      return work.from satisfies never;
  }
}

/** Copies a made table's files beside the old ones and changes the table over in one commit. */
async function swapIn(
  world: BackfillWorld,
  request: {
    readonly plan: TablePlan;
    readonly made: ObjectStore;
    readonly version: number;
    readonly token: string;
  },
): Promise<{ readonly isDone: boolean; readonly text: string }> {
  const { made, plan, token, version } = request;
  const folder = tableFolder(plan.name);
  const { clock, lake: objects, telemetry } = world;
  const place = { folder, format: plan.format };
  if (version < 0) {
    return { isDone: false, text: 'there is no such table yet: it is kept beside' };
  }
  const fresh = await readTable({ ...place, objects: made });
  const old = await readTable({ ...place, objects, version });
  for (const { add } of fresh.files) {
    const name = `${folder}/${decodePath(add.path)}`;
    const bytes = await made.get(name);
    if (bytes === undefined) throw new Error(`${name} of the backfill is gone`);
    await objects.putIfAbsent(name, bytes);
  }
  const outcome = await replaceFiles(
    { objects, plan, folder, clock, telemetry },
    {
      ...{ token: `${token}${plan.name}`, operation: replaceOperation, readVersion: version },
      removes: old.files.map(({ add }) => add),
      adds: fresh.files.map(({ add }) => add),
      ...{ isDataChange: true, isExclusive: true },
    },
  );
  return outcome.kind === 'replaced'
    ? { isDone: true, text: `in version ${outcome.version}` }
    : {
        isDone: false,
        text: `not done: the table was written since (${outcome.by}); it is kept beside`,
      };
}
