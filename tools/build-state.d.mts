export const stateFile: string;
export const buildPlaceholder: string;
export type BuildSources = Readonly<Record<string, string>>;
export function sourcesOf(root: string, inputs: readonly string[]): BuildSources;
export function identityText(sources: BuildSources, folder: string, now: Date): string;
export function stateText(sources: BuildSources, identity: string): string;
export function changedSince(folder: string, root: string): string[] | null;
