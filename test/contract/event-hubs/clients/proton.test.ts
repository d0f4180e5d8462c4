// Goal: a client on Qpid Proton, which shares no code with rhea or the SDKs, finds the wire as AMQP has it:
// settle modes as asked for, refused links without the terminus that is refused, SASL PLAIN.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describeClient, runChecks, type Availability } from './run-checks';

jest.setTimeout(150_000);

const checks = join(__dirname, 'proton/checks.py');
const checkCount = 12;

const hubs = ['single', 'annotated', 'filtered', 'unsettled', 'settled', 'fast', 'large'].map(
  (name) => `proton-${name}`,
);

/** A Python that has Proton: Debian's own has what its packages bring. */
function findPython(): Availability<string> {
  const found = ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import proton'], { timeout: 10_000 }).status === 0,
  );
  return found === undefined
    ? { missing: "no Python has Qpid Proton (Debian's python3-qpid-proton)" }
    : { found };
}

describeClient('Qpid Proton', findPython(), (python) => {
  test('every check passes', async () => {
    const { count, failed } = await runChecks(hubs, ({ connectionString, port }) => {
      const name = /SharedAccessKeyName=([^;]*)/.exec(connectionString)?.[1] ?? '';
      const key = /SharedAccessKey=([^;]*)/.exec(connectionString)?.[1] ?? '';
      return { command: python, args: [checks, '127.0.0.1', String(port), name, key] };
    });
    expect(failed).toEqual([]);
    expect(count).toBe(checkCount);
  });
});
