/** Between the host and its workers, over the channel they have anyway. */

/** Runs one durable function in the worker. */
export interface RunFunction {
  readonly kind: 'durable-run';
  readonly id: number;
  readonly functionName: string;
  /** The trigger's data; null: none. */
  readonly data: string | null;
  readonly instanceId: string;
}

export type FunctionRan =
  | {
      readonly kind: 'durable-ran';
      readonly id: number;
      readonly isOk: true;
      /** JSON text; null: nothing was returned. */
      readonly value: string | null;
    }
  | {
      readonly kind: 'durable-ran';
      readonly id: number;
      readonly isOk: false;
      readonly message: string;
    };
