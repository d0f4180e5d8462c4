import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AmqpServer } from './amqp/server';
import type { FaultSwitches } from './faults';
import type { Namespace } from './namespace';

const bodyBytesMax = 64 * 1024;

class BadRequest extends Error {}

export interface ControlOptions {
  readonly host: string;
  readonly port: number;
  readonly namespace: Namespace;
  readonly amqp: AmqpServer;
  readonly faults: FaultSwitches;
}

/** The local port for health, for creating hubs, and for the faults that tests switch on. */
export class ControlServer {
  readonly #options: ControlOptions;
  readonly #server: Server;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        const status = error instanceof BadRequest ? 400 : 500;
        reply(response, status, { error: error instanceof Error ? error.message : String(error) });
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { amqp, faults, namespace } = this.#options;
    const [path = '', name = '', action] =
      (request.url ?? '/').split('?')[0]?.split('/').slice(1) ?? [];
    const route = `${request.method} /${path}${name === '' ? '' : '/:name'}${action === undefined ? '' : `/${action}`}`;
    const hubName = decodeName(name);
    switch (route) {
      case 'GET /health':
        return reply(response, 200, { status: 'healthy', message: 'Service is healthy.' });
      case 'GET /hubs':
        return reply(response, 200, { hubs: describeHubs(namespace), cpu: process.cpuUsage() });
      case 'PUT /hubs/:name': {
        const body = await readJson(request);
        const hub = namespace.create({
          name: hubName,
          partitionCount: wholeNumber(body, 'partitionCount', 4),
          consumerGroups: Array.isArray(body['consumerGroups'])
            ? body['consumerGroups'].map(String)
            : [],
        });
        return reply(response, 200, hub.facts);
      }
      case 'DELETE /hubs/:name':
        amqp.hubGone(hubName);
        return reply(response, namespace.delete(hubName) ? 200 : 404, {});
      case 'POST /hubs/:name/recreate': {
        amqp.hubGone(hubName);
        const hub = namespace.recreate(hubName);
        return reply(response, hub === undefined ? 404 : 200, hub?.facts ?? {});
      }
      case 'GET /faults':
        return reply(response, 200, { faults: faults.active });
      case 'DELETE /faults':
        faults.clear();
        return reply(response, 200, {});
      case 'POST /faults':
        this.#switchOn(await readJson(request));
        return reply(response, 200, {});
      default:
        return reply(response, 404, { error: `no ${request.method} ${request.url}` });
    }
  }

  #switchOn(body: Record<string, unknown>): void {
    const { amqp, faults } = this.#options;
    const hub = typeof body['hub'] === 'string' ? body['hub'] : undefined;
    const partition = body['partition'] === undefined ? undefined : String(body['partition']);
    const matches = (receiver: { hub: { facts: { name: string } }; partition: number }): boolean =>
      (hub === undefined || receiver.hub.facts.name === hub) &&
      (partition === undefined || String(receiver.partition) === partition);
    const count = wholeNumber(body, 'count', 1);
    switch (body['kind']) {
      case 'drop-connections':
        return amqp.dropConnections();
      case 'detach-links':
        return amqp.detachLinks(matches);
      case 'rewind':
      case 'duplicate':
        return amqp.rewind(matches, count);
      case 'server-busy':
      case 'delay':
        return faults.add({
          kind: body['kind'],
          direction: body['kind'] === 'delay' ? 'receive' : 'send',
          ...(hub !== undefined && { hub }),
          ...(partition !== undefined && { partition }),
          count,
          milliseconds: wholeNumber(body, 'milliseconds', 1_000),
        });
      default:
        throw new BadRequest(
          `kind is ${JSON.stringify(body['kind'])}: use drop-connections, detach-links, rewind, duplicate, server-busy or delay`,
        );
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function describeHubs(namespace: Namespace): unknown[] {
  return namespace.hubs.map((hub) => ({
    ...hub.facts,
    partitions: hub.partitions.map((log, index) => ({
      partition: String(index),
      firstSequenceNumber: log.firstSequenceNumber,
      lastSequenceNumber: log.nextSequenceNumber - 1,
      lastOffset: log.lastOffset,
    })),
  }));
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new BadRequest(`the body is over ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw new BadRequest(`the body is not JSON: ${(error as Error).message}`);
  }
  throw new BadRequest('the body must be a JSON object');
}

function wholeNumber(body: Record<string, unknown>, name: string, fallback: number): number {
  const value = body[name] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw new BadRequest(`${name} must be a whole number above 0`);
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new BadRequest(`the name ${text} is not percent-encoded: ${(error as Error).message}`);
  }
}
