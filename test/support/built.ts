/**
 * The built processes (`npm run build`), for tests and benches: both run from the repository's folder,
 * some as bundles that lie elsewhere.
 */
import { resolve } from 'node:path';
import { processesIn } from '../../cli/app';
import * as emulator from '../../local/event-hubs/process';
import * as host from '../../local/functions-host';
import * as storage from '../../local/storage';

export const builtProcesses = processesIn(resolve('dist'));

type Without<Options, Name extends PropertyKey> = Omit<Options, Name>;

export function startEmulatorProcess(
  options: Without<Parameters<typeof emulator.startEmulatorProcess>[0], 'entry'>,
): Promise<emulator.EmulatorProcess> {
  return emulator.startEmulatorProcess({ entry: builtProcesses.emulator, ...options });
}

export function startAzurite(
  options: Without<storage.AzuriteOptions, 'entry'> = {},
): Promise<storage.Azurite> {
  return storage.startAzurite({ entry: builtProcesses.storage, ...options });
}

export function startFunctionsHost(
  options: Without<host.FunctionsHostOptions, 'workerEntry'>,
): Promise<host.FunctionsHost> {
  return host.startFunctionsHost({ workerEntry: builtProcesses.functionsWorker, ...options });
}
