/** What the tests use of dependencies.mjs. */
export interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly license?: string;
}

export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}

export function isAllowed(expression: string): boolean;
export function pinningFaults(manifest: Partial<Manifest>): string[];
export function sourceFaults(packages: Readonly<Record<string, LockEntry>>): string[];
export function production(
  packages: Readonly<Record<string, LockEntry>>,
): (LockEntry & { readonly path: string })[];
export function productionFaults(
  packages: Readonly<Record<string, LockEntry>>,
  root?: string,
): string[];
