export const stateFile: string;
export function stateText(root: string, inputs: readonly string[]): string;
export function changedSince(folder: string, root: string): string[] | null;
