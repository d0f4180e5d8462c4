// Goal: what the .NET SDK does to Event Hubs works against the emulator, refusals and TLS included.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeClient, runChecks, type Availability } from './run-checks';

jest.setTimeout(150_000);

const sources = join(__dirname, 'dotnet');
const cache = join(__dirname, '../../../../node_modules/.cache/event-hubs-clients');
const buildTimeoutMs = 75_000;
/** A machine without the packages, or without the SDK of this version: no fault of ours. */
const unavailable = /error (NU1101|NU1102|NU1301|NU1801|NETSDK1045): [^\n]*/;
const checkCount = 28;

const hubs = [
  ...['single', 'web-sockets', 'tls', 'wss', 'keyed', 'keys', 'typed', 'bodies', 'large'],
  ...['concurrent', 'buffered', 'idempotent', 'positions', 'newest', 'metric', 'managed'],
  ...['unfetched', 'processed', 'level', 'same-level', 'beyond', 'crowded'],
];

/** The built checks, kept until their source changes. */
function build(): Availability<string> {
  if (spawnSync('dotnet', ['--version'], { timeout: 10_000 }).status !== 0) {
    return { missing: 'there is no .NET SDK' };
  }
  const hash = createHash('sha256');
  const files = readdirSync(sources).filter((name) => /\.(cs|csproj)$/.test(name));
  for (const name of files.sort()) hash.update(readFileSync(join(sources, name)));
  const target = join(cache, hash.digest('hex').slice(0, 16));
  const program = join(target, 'out/event-hubs-checks.dll');
  if (existsSync(program)) return { found: program };
  const work = `${target}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const { error, status, stdout } = spawnSync(
    'dotnet',
    [
      ...['build', join(sources, 'event-hubs-checks.csproj'), '-c', 'Release', '-v', 'q'],
      ...['--nologo', '-o', join(work, 'out'), `-p:BaseIntermediateOutputPath=${work}/obj/`],
      // No processes that stay.
      ...['-nodeReuse:false', '-p:UseSharedCompilation=false'],
    ],
    {
      timeout: buildTimeoutMs,
      killSignal: 'SIGKILL',
      encoding: 'utf8',
      env: {
        ...process.env,
        ...{ DOTNET_CLI_TELEMETRY_OPTOUT: '1', DOTNET_NOLOGO: '1' },
        // Without a network the answer is to come soon.
        NUGET_ENHANCED_MAX_NETWORK_TRY_COUNT: '2',
      },
    },
  );
  if (status === 0) {
    rmSync(target, { recursive: true, force: true });
    renameSync(work, target);
    return { found: program };
  }
  rmSync(work, { recursive: true, force: true });
  const reason = unavailable.exec(stdout)?.[0];
  if (reason !== undefined) return { missing: reason };
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT') {
    return { missing: `it was not built in ${buildTimeoutMs / 1_000} s` };
  }
  throw new Error(`the checks cannot be built: ${stdout}`);
}

describeClient('Azure.Messaging.EventHubs', build(), (program) => {
  test('every check passes', async () => {
    const { count, failed } = await runChecks(hubs, (emulator) => ({
      command: 'dotnet',
      args: [program, emulator.connectionString, emulator.tlsConnectionString ?? ''],
      env: { SSL_CERT_FILE: emulator.certificateAuthorityFile ?? '' },
    }));
    expect(failed).toEqual([]);
    expect(count).toBe(checkCount);
  });
});
