/** What the tests use of secrets.mjs. */
export function secretsIn(text: string): { readonly line: number; readonly kind: string }[];
export function scan(paths?: readonly string[]): {
  readonly path: string;
  readonly line: number;
  readonly kind: string;
}[];
