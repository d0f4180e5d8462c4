/** What the run and its workers tell each other through files in one folder. */
import { join } from 'node:path';

/** The setting that names the folder. */
export const folderSetting = 'MILLRACE_CHAOS_FOLDER';

/** Where the next worker that starts shall kill itself. */
export interface ArmedPoint {
  readonly point: string;
  /** The file that it takes away before it does. */
  readonly token: string;
}

/** A batch that a trigger handed to the app: runs of sequence numbers, both ends included. */
export interface Delivery {
  readonly atMs: number;
  readonly functionName: string;
  readonly partition: string;
  readonly runs: readonly (readonly [first: number, last: number])[];
}

export const armedFile = (folder: string): string => join(folder, 'armed.json');
export const clockFile = (folder: string, pid: number): string => join(folder, `clock-${pid}`);
export const deliveriesPrefix = 'deliveries-';
export const deliveriesFile = (folder: string, pid: number): string =>
  join(folder, `${deliveriesPrefix}${pid}.ndjson`);
