/**
 * An HTTP proxy before Azurite that misbehaves on demand: rules match requests by method and path
 * and say what becomes of them, a number of times or until they are cleared.
 */
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { azuriteConnectionString } from './azurite';

export type StoreFault =
  /** Answers with this status and, for the service's sake, error code; nothing reaches the store. */
  | { readonly kind: 'status'; readonly status: number; readonly code?: string }
  /** Forwards after a pause. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Takes the request and never answers; nothing reaches the store. */
  | { readonly kind: 'hang' }
  /** Breaks the connection; nothing reaches the store. */
  | { readonly kind: 'reset' }
  /** The store carries the request out; its answer is dropped with the connection. */
  | { readonly kind: 'lost-response' }
  /** The store carries the request out; its answer is replaced by this status. */
  | { readonly kind: 'masked-response'; readonly status: number; readonly code?: string };

export interface FaultRule {
  readonly fault: StoreFault;
  /** Default: any method. */
  readonly method?: string;
  /** Of path and query, e.g. `/comp=appendblock/`. Default: any path. */
  readonly path?: RegExp;
  /** How often it applies; default: until it is cleared. */
  readonly times?: number;
  /** Matching requests that pass unharmed first. */
  readonly after?: number;
}

interface AppliedFault {
  readonly method: string;
  readonly path: string;
  readonly fault: StoreFault;
}

interface ActiveRule {
  readonly rule: FaultRule;
  passesLeft: number;
  timesLeft: number;
}

export interface StoreFaultProxy {
  readonly port: number;
  /** Connection string of the account behind the proxy. */
  readonly connectionString: string;
  /** Adds a rule; the first rule that matches a request decides. Call what it gives to clear it. */
  inject(rule: FaultRule): () => void;
  clear(): void;
  /** What befell whom, in order: a test shows by it that its fault was met. */
  readonly applied: readonly AppliedFault[];
  stop(): Promise<void>;
}

/** @param targetPort where Azurite's blob service listens on this machine */
export async function startStoreFaultProxy(targetPort: number): Promise<StoreFaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const applied: AppliedFault[] = [];
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let rules: ActiveRule[] = [];

  function faultOf(method: string, path: string): StoreFault | undefined {
    for (const active of rules) {
      const { fault, method: wanted, path: pattern } = active.rule;
      if (wanted !== undefined && wanted !== method) continue;
      if (pattern !== undefined && !pattern.test(path)) continue;
      if (active.passesLeft > 0) {
        active.passesLeft -= 1;
        continue;
      }
      if (active.timesLeft <= 0) continue;
      active.timesLeft -= 1;
      applied.push({ method, path, fault });
      return fault;
    }
    return undefined;
  }

  const server = createServer((incoming, outgoing) => {
    const fault = faultOf(incoming.method ?? '', incoming.url ?? '');
    const ways = { agent, incoming, outgoing, targetPort };
    switch (fault?.kind) {
      case undefined:
        forward(ways);
        break;
      case 'status':
        incoming.resume().once('end', () => answer(outgoing, fault));
        break;
      case 'slow': {
        const timer = setTimeout(() => {
          timers.delete(timer);
          forward(ways);
        }, fault.delayMs);
        timers.add(timer);
        break;
      }
      case 'hang':
        incoming.resume();
        break;
      case 'reset':
        incoming.socket.resetAndDestroy();
        break;
      case 'lost-response':
        forward({ ...ways, instead: () => incoming.socket.resetAndDestroy() });
        break;
      case 'masked-response':
        forward({ ...ways, instead: () => answer(outgoing, fault) });
        break;
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connectionString: azuriteConnectionString(port),
    applied,
    inject: (rule) => {
      const { after = 0, times = Infinity } = rule;
      const active = { rule, passesLeft: after, timesLeft: times };
      rules.push(active);
      return () => {
        rules = rules.filter((other) => other !== active);
      };
    },
    clear: () => {
      rules = [];
    },
    stop: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Passes a request on and its answer back; with `instead` the answer is awaited whole and dropped. */
function forward(ways: {
  readonly agent: Agent;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly targetPort: number;
  readonly instead?: () => void;
}): void {
  const { agent, incoming, instead, outgoing, targetPort } = ways;
  const onward = httpRequest({
    agent,
    host: '127.0.0.1',
    port: targetPort,
    method: incoming.method,
    path: incoming.url,
    // The signature covers the headers: they go on as they came.
    headers: incoming.headers,
  });
  onward.once('response', (response) => {
    if (instead !== undefined) {
      response.resume().once('end', instead);
      return;
    }
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
  });
  onward.once('error', () => incoming.socket.destroy());
  outgoing.once('close', () => {
    if (!outgoing.writableFinished && instead === undefined) onward.destroy();
  });
  incoming.pipe(onward);
}

function answer(
  outgoing: ServerResponse,
  { code, status }: { readonly status: number; readonly code?: string },
): void {
  const errorCode = code ?? defaultCodes[status] ?? 'InternalError';
  outgoing.writeHead(status, {
    'content-type': 'application/xml',
    'x-ms-error-code': errorCode,
    'x-ms-request-id': '00000000-0000-0000-0000-000000000000',
  });
  outgoing.end(
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${errorCode}</Code><Message>injected</Message></Error>`,
  );
}

const defaultCodes: Readonly<Record<number, string>> = {
  403: 'AuthorizationFailure',
  412: 'ConditionNotMet',
  500: 'InternalError',
  503: 'ServerBusy',
};
