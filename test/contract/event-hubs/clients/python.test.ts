// Goal: what the Python SDK's own AMQP stack (pyamqp) does to Event Hubs works against the emulator, over
// WebSockets and TLS: it settles no replies, asks receivers to settle second, and reads fields by their places.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describeClient, runChecks, type Availability } from './run-checks';

jest.setTimeout(150_000);

const checks = join(__dirname, 'python/checks.py');
const checkCount = 7;

const hubs = ['single', 'positions', 'properties', 'annotated', 'key', 'large'].map(
  (name) => `python-${name}`,
);

/** A Python that has the SDK with pyamqp, and what it needs for WebSockets. */
function findPython(): Availability<string> {
  const needed = 'import azure.eventhub._pyamqp, websocket';
  const found = ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', needed], { timeout: 10_000 }).status === 0,
  );
  return found === undefined
    ? { missing: "no Python has azure-eventhub (Debian's python3-azure) and websocket-client" }
    : { found };
}

describeClient('azure-eventhub', findPython(), (python) => {
  test('every check passes', async () => {
    const { count, failed } = await runChecks(hubs, (emulator) => ({
      command: python,
      args: [
        checks,
        emulator.tlsConnectionString ?? '',
        String(emulator.port),
        emulator.certificateAuthorityFile ?? '',
      ],
    }));
    expect(failed).toEqual([]);
    expect(count).toBe(checkCount);
  });
});
