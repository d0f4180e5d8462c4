import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AmqpServer } from './amqp/server';
import { readHub } from './config';
import { assertTrusted } from './control-callers';
import { BadRequest, readFault, readJson, type JsonObject } from './control-requests';
import type { FaultSwitches } from './faults';
import { listen } from './port/listen';
import type { Namespace } from './namespace';

export interface ControlOptions {
  readonly host: string;
  readonly port: number;
  readonly namespace: Namespace;
  readonly amqp: AmqpServer;
  readonly faults: FaultSwitches;
  readonly log: (line: string) => void;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const ok = (body: unknown): Answer => ({ status: 200, body });

/** The local port for health, for creating hubs, and for the faults that tests switch on. */
export class ControlServer {
  readonly #options: ControlOptions;
  readonly #server: Server;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      void this.#answerOrRefuse(request).then((answer) => send(response, answer));
    });
  }

  async listen(): Promise<number> {
    return listen(this.#server, { ...this.#options, option: '--control-port' });
  }

  async #answerOrRefuse(request: IncomingMessage): Promise<Answer> {
    try {
      return await this.#answer(request);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof BadRequest) return { status: error.status, body: { error: message } };
      this.#options.log(`${request.method} ${request.url}: ${message}`);
      return { status: 500, body: { error: message } };
    }
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { faults } = this.#options;
    assertTrusted(request);
    const [path = '', name = '', action] =
      (request.url ?? '/').split('?')[0]?.split('/').slice(1) ?? [];
    const route = `${request.method} /${path}${name === '' ? '' : '/:name'}${action === undefined ? '' : `/${action}`}`;
    switch (route) {
      case 'GET /health':
        return describeHealth(this.#options.namespace);
      case 'GET /hubs':
        return ok({
          hubs: describeHubs(this.#options.namespace),
          cpu: process.cpuUsage(),
          residentBytes: process.memoryUsage.rss(),
        });
      case 'PUT /hubs/:name':
        return this.#create(decodeName(name), await readJson(request));
      case 'DELETE /hubs/:name':
      case 'POST /hubs/:name/recreate':
        return this.#replace(decodeName(name), request.method === 'POST');
      case 'GET /faults':
        return ok({ faults: faults.active });
      case 'DELETE /faults':
        faults.clear();
        return ok({});
      case 'POST /faults':
        return ok(this.#switchOn(await readJson(request)));
      default:
        return { status: 404, body: { error: `no ${request.method} ${request.url}` } };
    }
  }

  #create(name: string, body: JsonObject): Answer {
    const groups = body['consumerGroups'] ?? [];
    const wrong: string[] = [];
    const wanted = readHub(
      {
        Name: name,
        PartitionCount: body['partitionCount'] ?? 4,
        ConsumerGroups: Array.isArray(groups) ? groups.map((one: unknown) => ({ Name: one })) : 0,
      },
      'hub',
      wrong,
    );
    if (wrong.length > 0) throw new BadRequest(wrong.join('; '));
    const { facts } = this.#options.namespace.create(wanted);
    if (body['partitionCount'] !== undefined && facts.partitionCount !== wanted.partitionCount) {
      throw new BadRequest(`${name} has ${facts.partitionCount} partitions: delete it first`, 409);
    }
    return ok(facts);
  }

  #replace(name: string, isAgain: boolean): Answer {
    const { amqp, namespace } = this.#options;
    const facts = isAgain ? namespace.recreate(name)?.facts : namespace.delete(name) ? {} : null;
    if (facts === null || facts === undefined) throw new BadRequest(`no hub ${name}`, 404);
    amqp.hubGone(name);
    return ok(facts);
  }

  /** What it did, where there is something to tell. */
  #switchOn(body: JsonObject): JsonObject {
    const { amqp, faults, namespace } = this.#options;
    const asked = readFault(body);
    switch (asked.kind) {
      case 'drop-connections':
        amqp.dropConnections();
        return {};
      case 'detach-links':
        amqp.detachLinks(asked.direction, asked.where);
        return {};
      case 'rewind':
        amqp.rewind(asked.where, asked.events);
        return {};
      case 'promote': {
        // All clients lose their connections with the region, and readers first of all.
        amqp.dropConnections();
        const partitions = namespace.promote(asked.where, asked.lose);
        if (partitions.length > 0) return { partitions };
        throw new BadRequest('there is no such hub or partition: nothing was promoted', 404);
      }
      case 'switch':
        faults.add(asked.fault);
        return {};
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function describeHealth({ failure }: Namespace): Answer {
  return failure === null
    ? ok({ status: 'healthy', message: 'Service is healthy.' })
    : {
        status: 503,
        body: { status: 'unhealthy', message: `Service is unhealthy: ${failure}` },
      };
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

function send(response: ServerResponse, { body, status }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new BadRequest(`the name ${text} is not percent-encoded: ${(error as Error).message}`);
  }
}
