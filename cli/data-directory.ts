import { accessSync, constants, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { WrongUse } from './arguments';

/** Makes a data folder where it is missing. Throws WrongUse where nothing can be kept in it. */
export function makeDataDirectory(folder: string): string {
  const path = resolve(folder);
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { message } = error as Error;
    throw new WrongUse(`--data ${path}: name a folder that you may write (${message})`);
  }
  return path;
}
