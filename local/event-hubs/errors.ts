/** A refusal as AMQP carries it: the SDKs decide by the condition (and some by the words). */
export class Refusal extends Error {
  readonly condition: string;
  /** Status of the same refusal in a $management or $cbs answer. */
  readonly status: number;

  constructor(condition: string, description: string, status = 400) {
    super(description);
    this.condition = condition;
    this.status = status;
  }
}

export const notFound = (name: string): Refusal =>
  new Refusal('amqp:not-found', `The messaging entity '${name}' could not be found.`, 404);

export const badPartition = (partition: string, count: number): Refusal =>
  new Refusal(
    'com.microsoft:argument-out-of-range',
    `The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and ${count - 1}. Found: ${partition}.`,
  );

export const serverBusy = (): Refusal =>
  new Refusal('com.microsoft:server-busy', 'The server is busy. Please wait and retry.', 503);

/** A file of the data folder that does not hold what the emulator wrote: said with its name. */
export class DamagedData extends Error {
  readonly code = 'EMULATOR_DATA_DAMAGED';
}
