import type { App } from '../app';
import { makeDataDirectory } from '../data-directory';
import type { Output } from '../output';
import { choosePorts, keepAddress, type StackPorts } from '../ports';
import { addressOf, lostPart, startServices } from '../stack';
import { stopSignal } from '../stop-signal';

/** Emulator and storage without the app, until Ctrl-C; whatever started ends with the command. */
export async function emulators(
  app: App,
  options: {
    readonly data: string;
    readonly config?: string;
    readonly asked: Partial<StackPorts>;
  },
  output: Output,
): Promise<void> {
  const dataDirectory = makeDataDirectory(options.data);
  const ports = await choosePorts({ asked: options.asked, dataDirectory });
  const stop = stopSignal();
  const started: { close(): Promise<void> }[] = [];
  try {
    const { config } = options;
    const { azurite, emulator } = await startServices(
      { app, dataDirectory, config, ports },
      started,
    );
    keepAddress(dataDirectory, addressOf({ emulator, azurite }));
    output.say(
      `Event Hubs: ${emulator.connectionString}\nStorage: ${azurite.connectionString}\nCtrl-C ends both.`,
    );
    const lost = lostPart({ emulator, azurite }).then((error) => Promise.reject(error));
    await Promise.race([stop.requested, lost]);
  } finally {
    for (const part of started.reverse()) await part.close();
    stop.release();
  }
}
