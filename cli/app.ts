import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Topology } from '../shared/dataflow';

/** What the command works on: handed down from its entry, so that no command looks for it. */
export interface App {
  readonly topologies: readonly Topology[];
  /** The folder with host.json and package.json. */
  readonly directory: string;
  readonly processes: BuiltProcesses;
}

/** The built files of the processes that commands start. */
export interface BuiltProcesses {
  readonly emulator: string;
  readonly storage: string;
  readonly functionsWorker: string;
  readonly replay: string;
}

/** @param built the folder that the build wrote, as it lies in the app's folder */
export function processesIn(built: string): BuiltProcesses {
  return {
    emulator: join(built, 'local/event-hubs/main.js'),
    storage: join(built, 'local/storage/main.js'),
    functionsWorker: join(built, 'local/functions-host/worker.js'),
    replay: join(built, 'cli/replay/main.js'),
  };
}

export function appIn(built: string, topologies: readonly Topology[]): App {
  return { topologies, directory: resolve(built, '..'), processes: processesIn(built) };
}

/** Throws where workers would find nothing to load. */
export function assertBuilt({ directory }: Pick<App, 'directory'>): void {
  const { main } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    main: string;
  };
  if (existsSync(join(directory, main))) return;
  throw new Error(`${join(directory, main)} is missing: run npm run build`);
}
