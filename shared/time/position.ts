/**
 * Positions in source partitions: what time behind an exchange is known through, and what a claim of idleness
 * speaks of. A source partition is named as its task is, `<stage>/<partition>`.
 */
import type { Cursor } from '../model/commit';

/** The life of a hub, and the next event of a partition of it; everything before it is meant. */
export type Position = readonly [incarnation: string, sequenceNumber: number, index: number];

/** By source partition. */
export type Positions = Readonly<Record<string, Position>>;

export function positionOf(incarnation: string, { index, sequenceNumber }: Cursor): Position {
  return [incarnation, sequenceNumber, index];
}

/** Below 0 where the left one comes first: of an earlier life of the hub, or earlier in the same. */
export function comparePositions(left: Position, right: Position): number {
  if (left[0] !== right[0]) return left[0] < right[0] ? -1 : 1;
  return left[1] - right[1] || left[2] - right[2];
}

export function isPosition(value: unknown): value is Position {
  return (
    Array.isArray(value) &&
    value.length === 3 &&
    typeof value[0] === 'string' &&
    Number.isSafeInteger(value[1]) &&
    Number.isSafeInteger(value[2])
  );
}

export function arePositions(value: unknown): value is Positions {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(isPosition)
  );
}

/** Of each partition the later position. */
export function laterPositions(left: Positions, right: Positions): Positions {
  const later: Record<string, Position> = { ...left };
  for (const [name, position] of Object.entries(right)) {
    const known = later[name];
    if (known === undefined || comparePositions(known, position) < 0) later[name] = position;
  }
  return later;
}
