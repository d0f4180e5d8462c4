import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startEmulatorProcess } from '../../local/event-hubs/process';
import { startAzurite } from '../../local/storage';
import { emulatorConfig, plan } from '../../shared/planner';
import type { App } from '../app';
import { makeDataDirectory } from '../data-directory';
import type { Output } from '../output';
import { choosePorts, keepAddress, type StackPorts } from '../ports';
import { addressOf, lostPart } from '../stack';
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
  const config = options.config ?? join(dataDirectory, 'event-hubs.json');
  if (options.config === undefined) {
    writeFileSync(config, JSON.stringify(emulatorConfig(plan(app.topologies))));
  }
  const ports = await choosePorts({ asked: options.asked, dataDirectory });
  const stop = stopSignal();
  const started: { close(): Promise<void> }[] = [];
  try {
    const emulator = await startEmulatorProcess({
      entry: app.processes.emulator,
      dataDirectory: join(dataDirectory, 'event-hubs'),
      config,
      port: ports.amqp,
      controlPort: ports.control,
    });
    started.push(emulator);
    const azurite = await startAzurite({
      entry: app.processes.storage,
      dataDirectory: join(dataDirectory, 'storage'),
      ports: { blob: ports.blob, queue: ports.queue, table: ports.table },
    });
    started.push(azurite);
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
