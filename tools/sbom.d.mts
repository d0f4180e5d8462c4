/** What the tests use of sbom.mjs. */
export function billOfMaterials(root?: string): {
  readonly bomFormat: string;
  readonly components: readonly {
    readonly 'bom-ref': string;
    readonly name: string;
    readonly version: string;
    readonly hashes: readonly { readonly content: string }[];
    readonly licenses: readonly { readonly expression: string }[];
  }[];
};
