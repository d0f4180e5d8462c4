import { createHash } from 'node:crypto';

/** Plain data, as JSON writes it. */
export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/**
 * A topology as plain data: all that decides what its tasks keep, read and write, and none of its functions
 * (bundlers change their text). Two builds whose documents have one hash may take turns on a task.
 */
export interface PlanDocument {
  readonly format: 1;
  readonly topology: string;
  /** By id, so that the order of lines in the source does not matter. */
  readonly nodes: readonly PlanNode[];
  /** By name. */
  readonly stages: readonly PlanStage[];
}

/** What one stage reads and writes. */
export interface PlanStage {
  readonly name: string;
  /** The hub. */
  readonly reads: string;
  /** Stages whose events come through it, with the port that they are for. Of a source none. */
  readonly producers: readonly { readonly stage: string; readonly port: number }[];
  readonly exchanges: readonly { readonly hub: string; readonly port: number }[];
  readonly tables: readonly string[];
}

/** A function that a topology is written with. No part of its plan. */
export interface FunctionNote {
  /** `<node>.<setting>`. */
  readonly place: string;
  readonly textHash: string;
}

export interface PlanNode {
  /** `<kind> <name>`: unique in the topology. A name identifies, never a position: nodes without one are steps. */
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  /** Where it runs, by name: behind a union of sources in several. What a node keeps belongs to (stage, node). */
  readonly stages: readonly string[];
  /** Ids of the nodes that it takes values from, by port, with the unnamed steps between. */
  readonly inputs: readonly string[];
  /** Its settings, without functions. They act on what comes from now on. */
  readonly settings: Json;
  /** What the values in its stores are and mean; null: it keeps nothing. */
  readonly fingerprint: Json;
}

/** JSON with the fields of objects in the order of their names: equal data has equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  );
}

/** Names a plan: 16 hexadecimal digits of a SHA-256 over its canonical text. */
export function planHash(document: PlanDocument): string {
  return createHash('sha256').update(canonicalJson(document)).digest('hex').slice(0, 16);
}
