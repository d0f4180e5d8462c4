/**
 * How another process tells a running stack's scaler what to do: a loopback address that the stack
 * leaves in its data folder, with a token that only the folder's owner can read.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join, resolve } from 'node:path';
import { checkRequest } from '../functions-host/request-check';
import type { Scaler, ScalerState } from './scaler';
import { parseWorkerWish } from './worker-range';

const addressFile = 'control.json';
const bodyBytesMax = 4_096;

interface ControlAddress {
  readonly port: number;
  readonly token: string;
}

/** What a scaler can be asked: nothing (its state), a count, a range, or to vote again. */
export type ScaleRequest = { readonly to: string } | null;

class NothingRuns extends Error {}

export interface ScaleControl {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens for `askScaler` until closed; the address in the data folder goes with it. */
export async function startScaleControl(options: {
  readonly scaler: Scaler;
  readonly dataDirectory: string;
}): Promise<ScaleControl> {
  const token = randomBytes(24).toString('hex');
  const server = createServer((request, response) => {
    answer(request, { scaler: options.scaler, token }).then(
      (state) => reply(response, 200, state),
      (error: unknown) => {
        const status = error instanceof Refused ? error.status : 500;
        reply(response, status, { error: error instanceof Error ? error.message : String(error) });
      },
    );
  });
  await new Promise<void>((listening, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', listening);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const file = join(options.dataDirectory, addressFile);
  // A file that is there keeps its mode: one left by a crash makes way.
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify({ port, token }), { mode: 0o600, flag: 'wx' });
  return {
    port,
    close: () => {
      rmSync(file, { force: true });
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

/** Asks the scaler of the stack that runs on a data folder; its state afterwards. */
export async function askScaler(
  dataDirectory: string,
  request: ScaleRequest,
): Promise<ScalerState> {
  const { port, token } = readAddress(dataDirectory);
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${port}/scale`, {
      method: request === null ? 'GET' : 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(request !== null && { body: JSON.stringify(request) }),
    });
  } catch (error) {
    throw new NothingRuns(
      `nothing answers on the address in ${join(resolve(dataDirectory), addressFile)}: ` +
        'the stack that wrote it has ended. Start one: npm start',
      { cause: error },
    );
  }
  const body = (await response.json()) as ScalerState & { readonly error?: string };
  if (!response.ok) throw new Error(body.error ?? `the scaler answered ${response.status}`);
  return body;
}

class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function answer(
  request: IncomingMessage,
  { scaler, token }: { readonly scaler: Scaler; readonly token: string },
): Promise<ScalerState> {
  const refusal = checkRequest(request, { hostNames: [], origins: [] });
  if (refusal !== null) throw new Refused(refusal.status, refusal.reason);
  if (!isAllowed(request, token)) throw new Refused(401, 'the token is missing or wrong');
  const route = `${request.method} ${request.url}`;
  if (route === 'PUT /scale') await command(scaler, await readTo(request));
  else if (route !== 'GET /scale') throw new Refused(404, `no such route: ${route}`);
  return scaler.state;
}

/** `auto`, `1..4`: votes; `3`: so many; `0`: none, until told otherwise. */
async function command(scaler: Scaler, to: string): Promise<void> {
  if (to === 'auto') return scaler.setAutomatic();
  let range;
  try {
    range = parseWorkerWish(to);
  } catch (error) {
    throw new Refused(400, error instanceof Error ? error.message : String(error));
  }
  return to.includes('..') ? scaler.setAutomatic(range) : scaler.setManual(range.min);
}

function isAllowed(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function readTo(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Refused(413, `the body is over ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  try {
    const { to } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { to?: unknown };
    if (typeof to === 'string') return to;
  } catch (error) {
    throw new Refused(400, `the body is not JSON: ${String(error)}`);
  }
  throw new Refused(400, 'the body must be {"to": "<count>|<min>..<max>|auto"}');
}

function readAddress(dataDirectory: string): ControlAddress {
  const file = join(resolve(dataDirectory), addressFile);
  if (!existsSync(file)) {
    throw new NothingRuns(
      `no stack runs on ${resolve(dataDirectory)} (no ${addressFile} there). ` +
        'Start one with npm start, or name its folder with --data',
    );
  }
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ControlAddress;
  } catch (error) {
    throw new NothingRuns(
      `${file} cannot be read (${error instanceof Error ? error.message : String(error)}): ` +
        'end the stack that wrote it, and start it again',
      { cause: error },
    );
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
