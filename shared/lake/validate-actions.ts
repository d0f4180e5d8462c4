type Fields = Readonly<Record<string, unknown>>;

/** What is wrong with the fields of an action; undefined: nothing. */
type Check = (fields: Fields) => string | undefined;

const checks: Readonly<Record<string, Check>> = {
  add: (fields) =>
    faultOfPath(fields) ??
    (isTexts(fields['partitionValues']) ? undefined : 'its partitionValues are not texts') ??
    (isCount(fields['size']) ? undefined : 'its size is not a number'),
  remove: faultOfPath,
  txn: ({ appId, version }) =>
    typeof appId === 'string' && typeof version === 'number'
      ? undefined
      : 'it needs an appId and a version',
  protocol: (fields) =>
    ['minReaderVersion', 'minWriterVersion'].every((name) => isCount(fields[name])) &&
    ['readerFeatures', 'writerFeatures'].every((name) => isNameList(fields[name] ?? []))
      ? undefined
      : 'its versions or features cannot be read',
  metaData: ({ configuration, partitionColumns, schemaString }) =>
    faultOfSchema(schemaString) ??
    (isNameList(partitionColumns) ? undefined : 'its partitionColumns are not names') ??
    (isTexts(configuration ?? {}) ? undefined : 'its configuration is not a map of texts'),
  sidecar: ({ path, sizeInBytes }) =>
    typeof path === 'string' && isCount(sizeInBytes)
      ? undefined
      : 'it needs a path and its sizeInBytes',
};

/**
 * Checks what readers rely on of one action ("Actions" of the Delta protocol); actions of other
 * kinds pass as they are, since readers must ignore them.
 *
 * @param refuse makes the error, which names the blob
 */
export function validateAction(parsed: object, refuse: (what: string) => Error): object {
  for (const [kind, check] of Object.entries(checks)) {
    const fields = (parsed as Fields)[kind];
    if (fields === undefined || fields === null) continue;
    const fault = isObject(fields) ? check(fields) : 'it is not an object';
    if (fault !== undefined) throw refuse(`an action "${kind}" is malformed: ${fault}`);
  }
  const { metaData } = parsed as { readonly metaData?: Fields | null };
  return metaData ? { ...parsed, metaData: withDefaults(metaData) } : parsed;
}

function withDefaults(metaData: Fields): Fields {
  const { configuration, format } = metaData;
  return {
    ...metaData,
    format: format ?? { provider: 'parquet', options: {} },
    configuration: configuration ?? {},
  };
}

function faultOfPath({ path }: Fields): string | undefined {
  if (typeof path !== 'string' || path === '') return 'it has no path';
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    return `its path ${path.slice(0, 200)} is not percent-encoded text`;
  }
}

function faultOfSchema(text: unknown): string | undefined {
  if (typeof text !== 'string') return 'it has no schemaString';
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    return 'its schemaString is not JSON';
  }
  const fields = isObject(schema) ? schema['fields'] : undefined;
  const isSchema =
    Array.isArray(fields) &&
    fields.every(
      (field) =>
        isObject(field) && typeof field['name'] === 'string' && field['type'] !== undefined,
    );
  return isSchema ? undefined : 'its schemaString is not a struct of named fields with types';
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0;
}

function isNameList(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isTexts(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.values(value).every((text) => typeof text === 'string' || text === null)
  );
}
