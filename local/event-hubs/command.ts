import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  InvalidConfig,
  startEventHubsEmulator,
  type EmulatorConfig,
  type EmulatorOptions,
  type EventHubsEmulator,
} from './index';
import { runPromote } from './promote-command';

const help = `Event Hubs on this machine, for any Event Hubs SDK.

  --port N               AMQP port (5672; 0: any free one)
  --control-port N       HTTP port for GET /health, /hubs and faults (5300; 0: any free one)
  --host ADDRESS         listen there (127.0.0.1; 0.0.0.0: for anybody who reaches this machine)
  --data DIR             keep hubs and events here (default: gone with the process)
  --config FILE          hubs in the form of the official emulator's Config.json
  --create-on-the-fly    make a hub when somebody first asks for it
  --partitions N         partitions of such hubs (4)
  --retention-hours N    events older than this may be dropped, a segment at a time (24; 0: never)
  --retention-mebibytes N  what a partition may hold before its oldest segment is dropped (0: any)
  --segment-mebibytes N  size of a segment file (64)
  --tls                  serve TLS too, on the same port, with a certificate made for it and kept
                         with the data; what is printed says how clients trust it
  --tls-certificate FILE  with --tls-key: this certificate instead (PEM)
  --tls-key FILE         its key (PEM)
  --any-key              let clients in whatever key or token they show
  --cut-damage           give up a partition's last file from its first damaged byte on
  --parent-pid N         end when that process ends
  --json                 start message as one JSON line
  --help

  promote --lose N       a fault of an emulator that runs (see: promote --help)`;

const mebibyte = 1024 * 1024;
const portMax = 65_535;

const options = {
  port: { type: 'string', default: '5672' },
  'control-port': { type: 'string', default: '5300' },
  host: { type: 'string', default: '127.0.0.1' },
  data: { type: 'string' },
  config: { type: 'string' },
  'create-on-the-fly': { type: 'boolean', default: false },
  partitions: { type: 'string', default: '4' },
  'retention-hours': { type: 'string', default: '24' },
  'retention-mebibytes': { type: 'string', default: '0' },
  'segment-mebibytes': { type: 'string', default: '64' },
  tls: { type: 'boolean', default: false },
  'tls-certificate': { type: 'string' },
  'tls-key': { type: 'string' },
  'any-key': { type: 'boolean', default: false },
  'cut-damage': { type: 'boolean', default: false },
  'parent-pid': { type: 'string', default: '0' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], options }).values;

/** `millrace emulator`: runs until Ctrl-C; ends with 2 for what the user wrote, 1 for all else. */
export async function runEmulator(args: readonly string[]): Promise<void> {
  try {
    if (args[0] === 'promote') return await runPromote(args.slice(1));
    const values = parse(args);
    if (values.help) console.log(help);
    else await run(values);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    const isParsing = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true;
    process.exitCode = error instanceof InvalidConfig || isParsing ? 2 : 1;
  }
}

async function run(values: Values): Promise<void> {
  const parent = numberOf(values, 'parent-pid', { min: 0 });
  // From here on: whoever reads that it has started may end it in the same moment.
  const starting = startEventHubsEmulator({
    port: numberOf(values, 'port', { min: 0, max: portMax }),
    controlPort: numberOf(values, 'control-port', { min: 0, max: portMax }),
    host: values.host,
    ...(values.data !== undefined && { dataDirectory: values.data }),
    ...(values.config !== undefined && { config: readConfig(values.config) }),
    createOnTheFly: values['create-on-the-fly'] && {
      partitionCount: numberOf(values, 'partitions', { min: 1, max: 1_024 }),
    },
    limits: {
      retentionMs:
        numberOf(values, 'retention-hours', { min: 0, isWhole: false }) * 3_600_000 || null,
      retentionBytes: numberOf(values, 'retention-mebibytes', { min: 0 }) * mebibyte || null,
      segmentBytes: numberOf(values, 'segment-mebibytes', { min: 1 }) * mebibyte,
    },
    tls: tlsOf(values),
    isAnyKeyAccepted: values['any-key'],
    isCuttingDamage: values['cut-damage'],
    log: (line) => console.error(printable(line)),
  });
  endWhenTold(async () => (await starting).close(), parent);
  const emulator = await starting;
  const { certificateAuthorityFile, connectionString, controlPort, port } = emulator;
  const { tlsConnectionString } = emulator;
  const facts = { port, controlPort, connectionString, tlsConnectionString };
  console.log(
    values.json
      ? JSON.stringify({ event: 'started', ...facts, certificateAuthorityFile })
      : startMessage(values, emulator),
  );
}

function startMessage(values: Values, emulator: EventHubsEmulator): string {
  const { certificateAuthorityFile, connectionString, controlPort, port } = emulator;
  const { tlsConnectionString } = emulator;
  return [
    `Event Hubs emulator: AMQP on port ${port}, health and faults on http://${hostInUrl(values.host)}:${controlPort}`,
    `Hubs and events: ${values.data ?? 'gone with this process (keep them with --data)'}`,
    `Connect with: ${connectionString}`,
    ...(tlsConnectionString === null ? [] : [`Over TLS with: ${tlsConnectionString}`]),
    ...(certificateAuthorityFile === null ? [] : trustMessage(certificateAuthorityFile)),
    'Ctrl-C ends it.',
  ].join('\n');
}

/** How programs come to trust what signed the certificate. */
function trustMessage(path: string): string[] {
  // As a shell takes it.
  const file = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
  return [
    `Clients over TLS must trust ${path}:`,
    `  Node.js                   NODE_EXTRA_CA_CERTS=${file}`,
    `  .NET, Go, Rust, OpenSSL   SSL_CERT_FILE=${file} (Linux; instead of all others)`,
    `  Python                    connection_verify=${JSON.stringify(path)}`,
    `  Java                      keytool -importcert -noprompt -file ${file} -keystore trust.p12 -storepass changeit, then -Djavax.net.ssl.trustStore=trust.p12`,
  ];
}

function tlsOf(values: Values): NonNullable<EmulatorOptions['tls']> {
  const { 'tls-certificate': certificateFile, 'tls-key': keyFile } = values;
  if (certificateFile === undefined && keyFile === undefined) return values.tls;
  if (certificateFile !== undefined && keyFile !== undefined) return { certificateFile, keyFile };
  throw new InvalidConfig(['--tls-certificate and --tls-key: one needs the other']);
}

const logCharactersMax = 2_000;

/** What clients sent is part of the log's lines: it must not steer the terminal, nor flood it. */
function printable(line: string): string {
  return line
    .slice(0, logCharactersMax)
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
      (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
    );
}

/** Where a program on this machine finds what listens there. */
function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** Closes at a signal, or when the parent is gone; a second signal does not wait. */
function endWhenTold(close: () => Promise<void>, parent: number): void {
  let isClosing = false;
  const end = (): void => {
    if (isClosing) process.exit(1);
    isClosing = true;
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error instanceof Error ? error.message : String(error));
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('disconnect', end);
  if (parent === 0) return;
  setInterval(() => {
    if (!isClosing && !isAlive(parent)) end();
  }, 500).unref();
}

function numberOf(
  values: Values,
  name: keyof typeof options,
  limits: { readonly min: number; readonly max?: number; readonly isWhole?: boolean },
): number {
  const { isWhole = true, max = Number.MAX_SAFE_INTEGER, min } = limits;
  const text = String(values[name]);
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (number >= min && number <= max && (!isWhole || Number.isInteger(number))) return number;
  const range = limits.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new InvalidConfig([
    `--${name}: must be a ${isWhole ? 'whole ' : ''}number ${range}, not ${JSON.stringify(text)}`,
  ]);
}

function readConfig(file: string): EmulatorConfig {
  try {
    // Editors of other systems begin a file with a byte order mark.
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')) as EmulatorConfig;
  } catch (error) {
    throw new InvalidConfig([`--config ${file}: ${(error as Error).message}`]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
