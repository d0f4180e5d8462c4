/**
 * Where the contract tests of Event Hubs run: the emulator, started for them, or a real namespace
 * when EVENT_HUBS_CONNECTION_STRING and EVENT_HUBS_NAME name one (a hub of four partitions).
 */
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { startEventHubsEmulator, type EmulatorOptions } from '../../local/event-hubs';
import { closeClient } from './event-hubs';

export interface TestNamespace {
  readonly connectionString: string;
  readonly hub: string;
  /** False: a real namespace, whose faults cannot be switched on. */
  readonly isEmulator: boolean;
  readonly controlPort: number;
  /** Of the test's hub, or of another one by name. */
  producer(hub?: string): EventHubProducerClient;
  /** A client of its own each time: one reads a partition once. */
  consumer(group?: string): EventHubConsumerClient;
  /** Switches a fault of the emulator on. */
  fault(body: Readonly<Record<string, unknown>>): Promise<void>;
  close(): Promise<void>;
}

const real = process.env['EVENT_HUBS_CONNECTION_STRING'];

/** For tests that switch faults on or look into the emulator: not run against a real namespace. */
export const describeEmulator = real === undefined ? describe : describe.skip;

export async function openTestNamespace(options: EmulatorOptions = {}): Promise<TestNamespace> {
  const emulator =
    real === undefined
      ? await startEventHubsEmulator({ port: 0, controlPort: 0, createOnTheFly: true, ...options })
      : null;
  const connectionString = emulator?.connectionString ?? real ?? '';
  const hub = (real === undefined ? undefined : process.env['EVENT_HUBS_NAME']) ?? 'contract';
  const controlPort = emulator?.controlPort ?? 0;
  const clients: { close(): Promise<void> }[] = [];
  const kept = <Client extends { close(): Promise<void> }>(client: Client): Client => {
    clients.push(client);
    return client;
  };
  const retryOptions = { maxRetries: 0, timeoutInMs: 10_000 };
  return {
    ...{ connectionString, hub, controlPort, isEmulator: emulator !== null },
    producer: (name = hub) =>
      kept(new EventHubProducerClient(connectionString, name, { retryOptions })),
    consumer: (group = '$Default') =>
      kept(new EventHubConsumerClient(group, connectionString, hub, { retryOptions })),
    fault: async (body) => {
      const response = await fetch(`http://127.0.0.1:${controlPort}/faults`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`fault refused: ${await response.text()}`);
    },
    close: async () => {
      await Promise.allSettled(clients.splice(0).map(closeClient));
      await emulator?.close();
    },
  };
}
