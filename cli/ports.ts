/**
 * On which ports a stack listens, and how other commands find it: usual ports where they are free,
 * those of the stack's last run before them, others where they are taken. The choice is kept in the
 * data folder, so that several stacks run side by side, each with its folder.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { wholeNumberFrom, WrongUse } from './arguments';

const portNames = ['amqp', 'control', 'blob', 'queue', 'table', 'http'] as const;
export type PortName = (typeof portNames)[number];
export type StackPorts = Readonly<Record<PortName, number>>;

/** What Azure's own emulators and `func start` use. */
export const usualPorts: StackPorts = {
  ...{ amqp: 5672, control: 5300 },
  ...{ blob: 10_000, queue: 10_001, table: 10_002 },
  http: 7071,
};

/** What connects to a stack on the usual ports; the keys of both emulators are public. */
export const usualStorage =
  'DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1';
export const usualHubs =
  'Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;';

const what: Readonly<Record<PortName, string>> = {
  amqp: 'Event Hubs, for SDKs',
  control: "the emulator's health and faults",
  blob: 'blob storage',
  queue: 'queue storage',
  table: 'table storage',
  http: 'the HTTP functions',
};

const portMax = 65_535;
const addressFile = 'stack.json';

/** Where a stack listens, or last did, and what connects to it. Its keys are public. */
export interface StackAddress {
  readonly ports: Partial<StackPorts>;
  /** Connection strings. */
  readonly hubs: string;
  readonly storage: string;
}

/** Options `--amqp-port` and so on; parsed into `amqpPort` and so on. */
export function withPorts(command: Command, names: readonly PortName[]): Command {
  for (const name of names) {
    command.option(
      `--${name}-port <port>`,
      `of ${what[name]}; 0: any free one (default: ${usualPorts[name]}, or one that is free)`,
      port,
    );
  }
  return command;
}

const port = wholeNumberFrom(0, portMax);

/** The ports that were asked for, out of a command's options. */
export function askedPorts(options: Readonly<Record<string, unknown>>): Partial<StackPorts> {
  return Object.fromEntries(
    portNames.flatMap((name) => {
      const asked = options[`${name}Port`];
      return typeof asked === 'number' ? [[name, asked]] : [];
    }),
  );
}

/**
 * Ports to start on; 0 where the operating system is to choose. Throws WrongUse for one that was
 * asked for and is taken.
 */
export async function choosePorts(options: {
  readonly asked: Partial<StackPorts>;
  readonly dataDirectory: string;
}): Promise<StackPorts> {
  const last = readAddress(options.dataDirectory)?.ports ?? {};
  const chosen: Partial<Record<PortName, number>> = {};
  for (const name of portNames) {
    const asked = options.asked[name];
    if (asked !== undefined && asked !== 0 && !(await isFree(asked))) {
      throw new WrongUse(
        `--${name}-port ${asked} is taken by another program: choose another (0: any free one)`,
      );
    }
    const others = Object.values(chosen);
    const candidates = [last[name], usualPorts[name]].filter(
      (candidate) => candidate !== undefined && !others.includes(candidate),
    ) as number[];
    chosen[name] = asked ?? (await firstFree(candidates));
  }
  return chosen as StackPorts;
}

async function firstFree(candidates: readonly number[]): Promise<number> {
  for (const candidate of candidates) if (await isFree(candidate)) return candidate;
  return 0;
}

/** True: nothing listens there on this machine's own address. */
function isFree(candidate: number): Promise<boolean> {
  return new Promise((resolveFree) => {
    const server = createServer();
    server.once('error', () => resolveFree(false));
    server.listen(candidate, '127.0.0.1', () => server.close(() => resolveFree(true)));
  });
}

/** Keeps where the stack listens beside its data. */
export function keepAddress(dataDirectory: string, address: StackAddress): void {
  writeFileSync(join(dataDirectory, addressFile), `${JSON.stringify(address, null, 2)}\n`);
}

/** Null: no stack has run on this folder. Throws WrongUse where the file says something else. */
export function readAddress(dataDirectory: string): StackAddress | null {
  const file = join(resolve(dataDirectory), addressFile);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw new WrongUse(`${file} cannot be read (${(error as Error).message})`);
  }
  const address = parseAddress(text);
  if (address !== null) return address;
  throw new WrongUse(
    `${file} does not say where a stack listens: delete it and start the stack again`,
  );
}

function parseAddress(text: string): StackAddress | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const { hubs, ports, storage } = (value ?? {}) as Partial<Record<keyof StackAddress, unknown>>;
  if (typeof hubs !== 'string' || typeof storage !== 'string') return null;
  if (typeof ports !== 'object' || ports === null) return null;
  const isPort = (one: unknown): boolean =>
    Number.isInteger(one) && Number(one) > 0 && Number(one) <= portMax;
  return Object.values(ports).every(isPort) ? { hubs, storage, ports: ports } : null;
}
