import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';

/** The account that every local Azure tool knows; its key is public. */
const account = 'devstoreaccount1';
const accountKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const startTimeoutMs = 30_000;
const probeIntervalMs = 50;

export interface AzuriteOptions {
  /** Where blobs are kept; absent: in memory. */
  readonly dataDirectory?: string;
  readonly host?: string;
  /** 0 or absent: any free port. */
  readonly ports?: { readonly blob?: number; readonly queue?: number; readonly table?: number };
}

export interface Azurite {
  readonly blobPort: number;
  readonly queuePort: number;
  readonly tablePort: number;
  readonly connectionString: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** Starts Azurite as a child process and waits until it answers. It ends with this process. */
export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const host = options.host ?? '127.0.0.1';
  const blobPort = await portOf('blob', options.ports?.blob, host);
  const queuePort = await portOf('queue', options.ports?.queue, host);
  const tablePort = await portOf('table', options.ports?.table, host);
  if (options.dataDirectory !== undefined) mkdirSync(options.dataDirectory, { recursive: true });
  const place =
    options.dataDirectory === undefined
      ? ['--inMemoryPersistence', '--extentMemoryLimit', '8192']
      : ['--location', options.dataDirectory];
  const child = spawn(
    process.execPath,
    [
      ...[storageEntry(), String(process.pid), '--', ...place],
      ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
      ...['--blobHost', host, '--blobPort', String(blobPort)],
      ...['--queueHost', host, '--queuePort', String(queuePort)],
      ...['--tableHost', host, '--tablePort', String(tablePort)],
    ],
    // Its own group: Ctrl-C is for the parent, whose workers still need the store to drain.
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  const output: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  for (const port of [blobPort, queuePort, tablePort]) {
    await answering(child, `http://${host}:${port}/`, output);
  }
  return {
    blobPort,
    queuePort,
    tablePort,
    pid: child.pid ?? 0,
    connectionString: [
      'DefaultEndpointsProtocol=http',
      `AccountName=${account}`,
      `AccountKey=${accountKey}`,
      `BlobEndpoint=http://${host}:${blobPort}/${account}`,
      `QueueEndpoint=http://${host}:${queuePort}/${account}`,
      `TableEndpoint=http://${host}:${tablePort}/${account}`,
    ].join(';'),
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const forced = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(forced);
    },
  };
}

async function answering(child: ChildProcess, url: string, output: string[]): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  let lastError: unknown = 'it ended';
  while (Date.now() < deadline) {
    if (child.exitCode !== null) break;
    try {
      await fetch(url, { signal: AbortSignal.timeout(2_000) });
      return;
    } catch (error) {
      // Not yet: nobody listens. The reason is told if it stays so.
      lastError = error;
      await new Promise((resolve) => setTimeout(resolve, probeIntervalMs));
    }
  }
  child.kill('SIGKILL');
  throw new Error(`Azurite does not answer on ${url}: ${String(lastError)} ${output.join('')}`);
}

/** A port that is free now: the wanted one, or any. Throws when the wanted one is taken. */
async function portOf(service: string, wanted: number | undefined, host: string): Promise<number> {
  const server = createServer();
  server.listen(wanted ?? 0, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(
      `Azurite's ${service} port ${wanted} on ${host} is taken by another program: end that, or choose another port (0: any)`,
      { cause: error },
    );
  }
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The built entry: beside this file when it runs from dist, else in the repository's dist. */
function storageEntry(): string {
  for (
    let directory = __dirname;
    directory !== dirname(directory);
    directory = dirname(directory)
  ) {
    const entry = join(directory, 'dist/local/storage/main.js');
    if (existsSync(entry)) return entry;
  }
  throw new Error('dist/local/storage/main.js is missing: run npm run build');
}
