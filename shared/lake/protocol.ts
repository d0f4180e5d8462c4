import { StreamError } from '../model/errors';
import type { AddAction, MetaDataAction, ProtocolAction } from './actions';

/**
 * What of Delta's protocol is honoured here ("Requirements for Readers/Writers" and "Table
 * Features" of PROTOCOL.md). A table that asks for more is refused by name: whoever reads past a
 * feature reads wrongly, and whoever writes past one breaks the table for others.
 */

/** Reader features whose every rule is kept: checkpoints of kind V2 are read, nothing is vacuumed. */
const readFeatures: ReadonlySet<string> = new Set(['v2Checkpoint', 'vacuumProtocolCheck']);
/** Version 2 is of column mapping alone, and whether that is in force the mode says. */
const readerVersionOfFeatures = 3;

/** Writer version 2: `appendOnly` is kept, columns with invariants are refused (schema.ts). */
export const writtenProtocol: ProtocolAction = { minReaderVersion: 1, minWriterVersion: 2 };
const writerVersionOfFeatures = 7;

/** What goes wrong for those who ignore a feature, and how a table gets rid of it. */
const advice: Readonly<Record<string, string>> = {
  deletionVectors:
    'deleted rows would come back; in Spark: REORG TABLE … APPLY (PURGE), then ALTER TABLE … DROP FEATURE deletionVectors',
  columnMapping:
    "renamed columns would be null; in Spark: ALTER TABLE … SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')",
  typeWidening:
    'older files have other types than the table; in Spark: ALTER TABLE … DROP FEATURE typeWidening',
};
const otherAdvice =
  'drop the feature (in Spark: ALTER TABLE … DROP FEATURE …), or copy the table to one without it';

/** Settings that are in force only with a feature that we do not have, by their value. */
const activations: readonly {
  readonly setting: string;
  readonly isOn: (value: string) => boolean;
  readonly feature: string;
}[] = [
  ...(
    [
      ['delta.enableChangeDataFeed', 'changeDataFeed'],
      ['delta.enableDeletionVectors', 'deletionVectors'],
      ['delta.enableRowTracking', 'rowTracking'],
      ['delta.enableInCommitTimestamps', 'inCommitTimestamp'],
      ['delta.enableTypeWidening', 'typeWidening'],
      ['delta.enableIcebergCompatV1', 'icebergCompatV1'],
      ['delta.enableIcebergCompatV2', 'icebergCompatV2'],
    ] as const
  ).map(([setting, feature]) => ({
    ...{ setting, feature },
    isOn: (value: string) => value.toLowerCase() === 'true',
  })),
  { setting: 'delta.columnMapping.mode', feature: 'columnMapping', isOn: isMapped },
  {
    setting: 'delta.checkpointPolicy',
    feature: 'v2Checkpoint',
    isOn: (value) => value.toLowerCase() === 'v2',
  },
];

function isMapped(mode: string): boolean {
  return mode.toLowerCase() !== 'none';
}

function mappingMode({ configuration }: MetaDataAction): string {
  return configuration['delta.columnMapping.mode'] ?? 'none';
}

/** Names of what a reader of this table must honour and we do not. */
function unreadable(protocol: ProtocolAction, metaData: MetaDataAction): string[] {
  const found = new Set<string>();
  const { minReaderVersion, readerFeatures } = protocol;
  if (minReaderVersion > readerVersionOfFeatures) found.add(`reader version ${minReaderVersion}`);
  if (minReaderVersion >= readerVersionOfFeatures) {
    for (const feature of readerFeatures ?? []) {
      // That the table may have mapped columns is no obstacle: whether it does, the mode says.
      if (!readFeatures.has(feature) && feature !== 'columnMapping') found.add(feature);
    }
  }
  if (isMapped(mappingMode(metaData))) found.add('columnMapping');
  if (/"delta\.typeChanges"\s*:/.test(metaData.schemaString)) found.add('typeWidening');
  return Array.from(found);
}

/** Rejects a table that cannot be read rightly with STREAM_TABLE_INCOMPATIBLE, naming each feature. */
export function assertReadable(table: {
  readonly folder: string;
  readonly protocol: ProtocolAction;
  readonly metaData: MetaDataAction;
  readonly files: Iterable<AddAction>;
}): void {
  const { files, folder, metaData, protocol } = table;
  const features = new Set(unreadable(protocol, metaData));
  if (!features.has('deletionVectors')) {
    for (const { deletionVector } of files) {
      if (deletionVector) features.add('deletionVectors');
    }
  }
  if (features.size === 0) return;
  throw refusal(folder, Array.from(features), 'reading it would give wrong rows');
}

/** What keeps our writer from a table, each in words; none: it may be written. */
export function writerObstacles(protocol: ProtocolAction, metaData: MetaDataAction): string[] {
  const { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } = protocol;
  const features = new Set<string>(unreadable(protocol, metaData));
  for (const feature of readerFeatures ?? []) features.add(feature);
  if (minWriterVersion >= writerVersionOfFeatures) {
    for (const feature of writerFeatures ?? []) features.add(feature);
  }
  for (const { feature, isOn, setting } of activations) {
    const value = metaData.configuration[setting];
    if (value !== undefined && isOn(value)) features.add(feature);
  }
  for (const setting of Object.keys(metaData.configuration)) {
    if (setting.startsWith('delta.constraints.')) features.add(`the constraint ${setting}`);
  }
  if (/"delta\.identity\./.test(metaData.schemaString)) features.add('identityColumns');
  const isKnown =
    minReaderVersion <= writtenProtocol.minReaderVersion &&
    minWriterVersion <= writtenProtocol.minWriterVersion;
  if (isKnown && features.size === 0) return [];
  const names = Array.from(features, (name) => withAdvice(name)).join('; ');
  return [
    isKnown
      ? `it has features which this writer does not implement: ${names}`
      : `it asks for reader version ${minReaderVersion} and writer version ${minWriterVersion}` +
        `${names === '' ? '' : ` with ${names}`}, this writer speaks 1 and 2`,
  ];
}

/** Rejects with STREAM_TABLE_INCOMPATIBLE what our writer may not do to a table. */
export function assertChangeable(table: {
  readonly folder: string;
  readonly protocol: ProtocolAction | undefined;
  readonly metaData: MetaDataAction | undefined;
  /** Rows are taken out: not only moved to other files. */
  readonly removesRows: boolean;
}): void {
  const { folder, metaData, protocol, removesRows } = table;
  if (protocol === undefined || metaData === undefined) return;
  const obstacles = writerObstacles(protocol, metaData);
  if (removesRows && metaData.configuration['delta.appendOnly']?.toLowerCase() === 'true') {
    obstacles.push('it is append-only (delta.appendOnly): no row may be taken out');
  }
  if (obstacles.length === 0) return;
  throw new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `the table ${folder} must not be written to: ${obstacles.join('; ')}`,
    { details: { folder, obstacles } },
  );
}

function withAdvice(feature: string): string {
  return `${feature} (${advice[feature] ?? otherAdvice})`;
}

function refusal(folder: string, features: readonly string[], consequence: string): StreamError {
  return new StreamError(
    'STREAM_TABLE_INCOMPATIBLE',
    `the table ${folder} has features which Millrace does not implement, ${consequence}: ` +
      `${features.map(withAdvice).join('; ')}. Or read it with the tool that wrote it`,
    { details: { folder, features } },
  );
}
