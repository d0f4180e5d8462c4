/** Which task of which topology: it names the task's log. No part may contain a slash. */
export interface TaskAddress {
  readonly topology: string;
  /** Of the topology, chosen by a decision: `v1`, `v2` … (version-name.ts). */
  readonly version: string;
  readonly stage: string;
  /** The input hub's creation time in milliseconds, 15 digits, so that names sort by age. */
  readonly incarnation: string;
  readonly partition: string;
}
