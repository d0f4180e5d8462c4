import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AmqpServer } from './amqp/server';
import { hubsOf, type EmulatorConfig } from './config';
import { ControlServer } from './control';
import { FaultSwitches } from './faults';
import { FolderInUse, lockFolder } from './log/folder-lock';
import type { LogLimits } from './log/partition-log';
import { certificateIn, readCertificate, type Certificate } from './port/certificate';
import { Namespace } from './namespace';
import { developmentKey, SharedAccess } from './shared-access';

export { InvalidConfig, type EmulatorConfig } from './config';

export interface EmulatorOptions {
  /** AMQP; 0: any free port. Default 5672. */
  readonly port?: number;
  /** Default 127.0.0.1: reachable from this machine alone. */
  readonly host?: string;
  /** HTTP for health and faults; 0: any free port. Default 5300. */
  readonly controlPort?: number;
  /** Where hubs are kept; absent: a folder that goes when the emulator does. */
  readonly dataDirectory?: string;
  readonly config?: EmulatorConfig;
  /** Makes a hub when somebody first asks for it. */
  readonly createOnTheFly?: boolean | { readonly partitionCount: number };
  readonly limits?: Partial<LogLimits>;
  /**
   * Serves TLS too, on the same port: with a certificate that is made and kept in the data folder, or
   * with that of two PEM files.
   */
  readonly tls?: boolean | { readonly certificateFile: string; readonly keyFile: string };
  /** Lets clients in whatever key or token they show, or none. */
  readonly isAnyKeyAccepted?: boolean;
  /** Gives up a partition's last file from its first damaged byte on, instead of refusing to start. */
  readonly isCuttingDamage?: boolean;
  /** How often retention is looked after. */
  readonly retentionIntervalMs?: number;
  readonly log?: (line: string) => void;
}

export interface EventHubsEmulator {
  readonly port: number;
  readonly controlPort: number;
  readonly connectionString: string;
  /** The same for clients that speak TLS; null: none is served. */
  readonly tlsConnectionString: string | null;
  /** What clients that speak TLS are to trust: a PEM file; null: no certificate was made. */
  readonly certificateAuthorityFile: string | null;
  close(): Promise<void>;
}

const syncIntervalMs = 1_000;

const defaultLimits: LogLimits = {
  retentionMs: 24 * 60 * 60 * 1_000,
  retentionBytes: null,
  segmentBytes: 64 * 1024 * 1024,
};

/** Starts an Event Hubs namespace on this machine; when it cannot, nothing is left open. */
export async function startEventHubsEmulator(
  options: EmulatorOptions = {},
): Promise<EventHubsEmulator> {
  const host = options.host ?? '127.0.0.1';
  const hubs = options.config === undefined ? [] : hubsOf(options.config);
  const log = options.log ?? (() => undefined);
  /** What has been opened, the last one first. */
  const opened: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    const errors: unknown[] = [];
    for (const closeOne of opened.splice(0)) {
      await Promise.resolve()
        .then(closeOne)
        .catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  };
  try {
    const directory = openFolder(options.dataDirectory, opened);
    const namespace = new Namespace({
      directory,
      createOnTheFlyPartitions: partitionsOnTheFly(options.createOnTheFly),
      limits: { ...defaultLimits, ...options.limits },
      isCuttingDamage: options.isCuttingDamage ?? false,
      log,
    });
    opened.unshift(() => namespace.close());
    for (const hub of hubs) namespace.configure(hub);
    const shared = { host, namespace, log, faults: new FaultSwitches() };
    const tls = await certificateOf(options.tls ?? false, directory, host);
    const access = new SharedAccess(options.isAnyKeyAccepted === true ? null : developmentKey);
    const amqp = new AmqpServer({ ...shared, access, tls, port: options.port ?? 5672 });
    const port = await amqp.listen();
    opened.unshift(() => amqp.close());
    const control = new ControlServer({ ...shared, amqp, port: options.controlPort ?? 5300 });
    const controlPort = await control.listen();
    opened.unshift(() => control.close());
    const timers = [
      setInterval(() => namespace.sync(), syncIntervalMs),
      setInterval(() => namespace.retain(Date.now()), options.retentionIntervalMs ?? 5_000),
    ];
    opened.unshift(() => timers.forEach(clearInterval));
    const name = host === '127.0.0.1' || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const connectionString = `Endpoint=sb://${name}:${port};SharedAccessKeyName=${developmentKey.name};SharedAccessKey=${developmentKey.key};`;
    return {
      port,
      controlPort,
      connectionString: `${connectionString}UseDevelopmentEmulator=true;`,
      tlsConnectionString: tls === null ? null : connectionString,
      certificateAuthorityFile: tls?.authorityFile ?? null,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The folder for the hubs, this emulator's own until it closes. */
function openFolder(wanted: string | undefined, opened: (() => void)[]): string {
  if (wanted === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'event-hubs-'));
    opened.unshift(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
  }
  const directory = resolve(wanted);
  try {
    mkdirSync(directory, { recursive: true });
    opened.unshift(lockFolder(directory));
  } catch (error) {
    if (error instanceof FolderInUse) throw error;
    throw new Error(
      `the data folder ${directory} cannot be used (${(error as Error).message}): choose another with --data`,
    );
  }
  return directory;
}

async function certificateOf(
  wanted: NonNullable<EmulatorOptions['tls']>,
  directory: string,
  host: string,
): Promise<Certificate | null> {
  if (wanted === false) return null;
  return wanted === true
    ? certificateIn(join(directory, 'tls'), host, Date.now())
    : readCertificate(wanted.certificateFile, wanted.keyFile);
}

function partitionsOnTheFly(option: EmulatorOptions['createOnTheFly']): number | null {
  if (option === undefined || option === false) return null;
  return option === true ? 4 : option.partitionCount;
}
