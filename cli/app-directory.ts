import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The app's folder: the nearest one above this file with a host.json and package.json. */
export function appDirectory(): string {
  for (
    let directory = __dirname;
    directory !== dirname(directory);
    directory = dirname(directory)
  ) {
    if (!existsSync(join(directory, 'host.json'))) continue;
    const { main } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
      main: string;
    };
    if (existsSync(join(directory, main))) return directory;
    throw new Error(`${join(directory, main)} is missing: run npm run build`);
  }
  throw new Error('no folder with a host.json above the command: run it from the repository');
}
