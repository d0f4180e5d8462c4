/**
 * Versions of a topology: `v1`, `v2` … A version is chosen by a decision, never by code: it is in the paths of
 * logs, in tasks' names in tables and in what travels through exchanges, so that two of them never mix.
 */
export const firstVersion = 'v1';

const versionPattern = /^v([1-9]\d{0,8})$/;

/** The number in a version's name; undefined: it is none. */
export function versionNumber(version: string): number | undefined {
  const digits = versionPattern.exec(version)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The version that follows another. */
export function versionAfter(version: string): string {
  return `v${(versionNumber(version) ?? 0) + 1}`;
}
