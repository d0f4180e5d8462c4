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

/** The version that a version follows; null: it is the first. */
export function versionBefore(version: string): string | null {
  const number = versionNumber(version) ?? 1;
  return number <= 1 ? null : `v${number - 1}`;
}

/** True: the first one was decided later than the second. */
export function isLaterVersion(version: string, than: string): boolean {
  return (versionNumber(version) ?? 0) > (versionNumber(than) ?? 0);
}

/** The later of two; null stands for none. What is no version's name counts as none. */
export function newerVersion(left: string | null, right: string): string | null {
  if (versionNumber(right) === undefined) return left;
  return left === null || isLaterVersion(right, left) ? right : left;
}
