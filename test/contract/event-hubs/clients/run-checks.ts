/**
 * Runs the checks of a client in another language against an emulator of its own: a program that prints
 * a JSON line for each check. Where the machine has no such client the reason is printed instead.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../../local/event-hubs';

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that can be run here, or why it cannot. */
export type Availability<Found> = { readonly found: Found } | { readonly missing: string };

export interface CheckResult {
  readonly check: string;
  readonly failure: string | null;
}

const runTimeoutMs = 100_000;
const partitionCount = 4;

/** The suite of a client that is here; one that is not is skipped, and the reason said. */
export function describeClient<Found>(
  name: string,
  availability: Availability<Found>,
  suite: (found: Found) => void,
): void {
  if ('found' in availability) {
    describe(name, () => suite(availability.found));
    return;
  }
  console.info(`${name} is not tried: ${availability.missing}`);
  describe.skip(name, () => {
    test(availability.missing, () => undefined);
  });
}

/** Every check that failed, and how many there were; rejects when the program says something else. */
export async function runChecks(
  hubs: readonly string[],
  program: (emulator: EventHubsEmulator) => Program,
): Promise<{ readonly failed: CheckResult[]; readonly count: number }> {
  const Entities = hubs.map((Name) => ({ Name, PartitionCount: partitionCount }));
  const emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, tls: true },
    config: { UserConfig: { NamespaceConfig: [{ Entities }] } },
  });
  try {
    const results = await resultsOf(program(emulator));
    return {
      failed: results.filter(({ failure }) => failure !== null),
      count: results.length,
    };
  } finally {
    await emulator.close();
  }
}

async function resultsOf({ args, command, env }: Program): Promise<CheckResult[]> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: runTimeoutMs,
    killSignal: 'SIGKILL',
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(String(signal ?? code)));
  });
  const results: CheckResult[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    results.push(JSON.parse(line) as CheckResult);
  }
  const end = await ended;
  if (end !== '0')
    throw new Error(`${command} ended with ${end}: ${Buffer.concat(errors).toString()}`);
  return results;
}
