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

/** An instance id as a table key: what tables refuse, and `^`, becomes `^` and four hex digits. */
export function toKey(instanceId: string): string {
  return instanceId.replace(
    forbiddenInKeys,
    (character) => `^${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function fromKey(key: string): string {
  return key.replace(/\^([0-9a-f]{4})/g, (_whole, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
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
