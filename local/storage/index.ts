import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** The account that every local Azure tool knows; its key is public. */
const account = 'devstoreaccount1';
const accountKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const startTimeoutMs = 30_000;
const services = ['blob', 'queue', 'table'] as const;
type Ports = Record<(typeof services)[number], number>;

export interface AzuriteOptions {
  /** The built file of main.ts. */
  readonly entry: string;
  /** Where blobs are kept; absent: in memory. */
  readonly dataDirectory?: string;
  readonly host?: string;
  /** 0 or absent: any free port. */
  readonly ports?: Readonly<Partial<Ports>>;
}

export interface Azurite {
  readonly blobPort: number;
  readonly queuePort: number;
  readonly tablePort: number;
  readonly connectionString: string;
  readonly pid: number;
  /** Settles when the process has ended, with its signal or exit code. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

/** Starts Azurite as a child process and waits until it listens. It ends with this process. */
export async function startAzurite(options: AzuriteOptions): Promise<Azurite> {
  const { dataDirectory, entry, host = '127.0.0.1', ports: wanted = {} } = options;
  if (dataDirectory !== undefined) mkdirSync(dataDirectory, { recursive: true });
  const place =
    dataDirectory === undefined
      ? ['--inMemoryPersistence', '--extentMemoryLimit', '8192']
      : ['--location', dataDirectory];
  const child = spawn(
    process.execPath,
    [
      ...[entry, String(process.pid), '--', ...place],
      ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
      ...services.flatMap((service) => [
        ...[`--${service}Host`, host],
        ...[`--${service}Port`, String(wanted[service] ?? 0)],
      ]),
    ],
    // Its own group: Ctrl-C is for the parent, whose workers still need the store to drain.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? `exit code ${code}`));
  const ports = await listeningPorts(child, { host, wanted });
  return {
    blobPort: ports.blob,
    queuePort: ports.queue,
    tablePort: ports.table,
    pid: child.pid ?? 0,
    ended,
    connectionString: [
      'DefaultEndpointsProtocol=http',
      `AccountName=${account}`,
      `AccountKey=${accountKey}`,
      `BlobEndpoint=http://${host}:${ports.blob}/${account}`,
      `QueueEndpoint=http://${host}:${ports.queue}/${account}`,
      `TableEndpoint=http://${host}:${ports.table}/${account}`,
    ].join(';'),
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const forced = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(forced);
    },
  };
}

/**
 * Ports as Azurite says them when it listens. Asking them would not do: of a port that is taken
 * another program answers.
 */
async function listeningPorts(
  child: ChildProcessByStdio<null, Readable, Readable>,
  { host, wanted }: { readonly host: string; readonly wanted: Partial<Ports> },
): Promise<Ports> {
  let output = '';
  const found = await new Promise<Partial<Ports>>((resolve) => {
    const look = (chunk: Buffer): void => {
      output += chunk.toString();
      const ports = portsIn(output);
      if (services.every((service) => ports[service] !== undefined)) resolve(ports);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('close', () => resolve({}));
    setTimeout(() => resolve({}), startTimeoutMs).unref();
  });
  for (const stream of [child.stdout, child.stderr]) stream.removeAllListeners('data').resume();
  const { blob, queue, table } = found;
  if (blob !== undefined && queue !== undefined && table !== undefined) {
    return { blob, queue, table };
  }
  const how = child.signalCode ?? child.exitCode;
  const silence = how === null ? `no word for ${startTimeoutMs} ms` : `it ended (${how})`;
  child.kill('SIGKILL');
  const taken = /EADDRINUSE.*:(\d+)\s/.exec(output)?.[1];
  const service = services.find((one) => String(wanted[one]) === taken);
  if (service !== undefined) {
    throw new Error(
      `Azurite's ${service} port ${taken} on ${host} is taken by another program: end that, or choose another port (0: any)`,
    );
  }
  throw new Error(`Azurite did not start: ${output.trim() || silence}`);
}

function portsIn(output: string): Partial<Ports> {
  const lines = /Azurite (Blob|Queue|Table) service is successfully listening at \S+:(\d+)\s/g;
  return Object.fromEntries(
    Array.from(output.matchAll(lines), ([, service = '', port]) => [
      service.toLowerCase(),
      Number(port),
    ]),
  );
}
