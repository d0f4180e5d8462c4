import { createHash } from 'node:crypto';

/** A name-based UUID (RFC 4122, version 5): the same parts give the same id on every replay. */
export function deterministicGuid(...parts: readonly (string | number)[]): string {
  const hash = createHash('sha1').update(parts.join('\n')).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}

/** FNV-1a of the instance id: which partition of the task hub it belongs to. */
export function partitionOf(instanceId: string, partitionCount: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(instanceId)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash % partitionCount;
}

const forbiddenInKeys = /[/\\#?\u0000-\u001f\u007f-\u009f^]/g;
/** Of a table: 1 KiB in UTF-16. */
const keyCharactersMax = 512;

/** An instance id as a table key: what tables refuse becomes `^` and four hex digits, `^` itself `^^`. */
export function toKey(instanceId: string): string {
  return instanceId.replace(forbiddenInKeys, (character) =>
    character === '^' ? '^^' : `^${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function fromKey(key: string): string {
  return key.replace(/\^(\^|[0-9a-f]{4})/g, (_whole, code: string) =>
    code === '^' ? '^' : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** What keeps a text from being the id of an instance or an entity; null: nothing. */
export function instanceIdFault(instanceId: string): string | null {
  if (instanceId === '') return 'it is empty';
  if (/\p{Surrogate}/u.test(instanceId)) return 'it holds half of a surrogate pair';
  const { length } = toKey(instanceId);
  return length > keyCharactersMax
    ? `as a table's key it has ${length} characters; there can be ${keyCharactersMax}`
    : null;
}

/** As the platform says it. */
export function unknownFunction(
  name: string,
  kind: 'activity' | 'entity' | 'orchestrator',
  known: readonly string[],
): string {
  return (
    `The function '${name}' doesn't exist, is disabled, or is not an ${kind} function. Additional info: ` +
    (known.length === 0
      ? `No ${kind} functions are currently registered!`
      : `The following are the known ${kind} functions: ${known.map((one) => `'${one}'`).join(', ')}.`)
  );
}

export interface EntityId {
  readonly name: string;
  readonly key: string;
}

/** `@name@key`, the name in lower case. */
export function entityInstanceId({ name, key }: EntityId): string {
  return `@${name.toLowerCase()}@${key}`;
}

/** Null: the instance is an orchestration. */
export function entityIdOf(instanceId: string): EntityId | null {
  const match = /^@([^@]+)@(.*)$/s.exec(instanceId);
  return match === null ? null : { name: match[1] ?? '', key: match[2] ?? '' };
}
