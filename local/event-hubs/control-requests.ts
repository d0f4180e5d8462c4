import type { IncomingMessage } from 'node:http';
import { Refusal, serverBusy } from './errors';
import { Where, type Fault } from './faults';

/** A request that cannot be met as it is put. */
export class BadRequest extends Error {
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

const bodyBytesMax = 64 * 1024;
const millisecondsMax = 3_600_000;

export type JsonObject = Readonly<Record<string, unknown>>;

/** The body of a request: a JSON object, empty when there is none. */
export async function readJson(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new BadRequest(`the body is over ${bodyBytesMax} bytes`, 413);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new BadRequest(`the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new BadRequest('the body must be a JSON object');
}

/** A fault as it is asked for. */
export type FaultRequest =
  | { readonly kind: 'drop-connections' }
  | {
      readonly kind: 'detach-links';
      readonly direction: Fault['direction'];
      readonly where: Where;
    }
  | { readonly kind: 'rewind'; readonly where: Where; readonly events: number }
  | { readonly kind: 'promote'; readonly where: Where; readonly lose: number }
  | { readonly kind: 'switch'; readonly fault: Fault };

const kinds = [
  'drop-connections',
  'detach-links',
  'rewind',
  'duplicate',
  'promote',
  'server-busy',
  'refuse',
  'delay',
];

export function readFault(body: JsonObject): FaultRequest {
  const { kind } = body;
  const where = readWhere(body);
  const count = wholeNumber(body, 'count', { fallback: 1 });
  switch (kind) {
    case 'drop-connections':
      return { kind };
    case 'detach-links':
      return { kind, direction: directionOf(body, 'receive'), where };
    case 'rewind':
    case 'duplicate':
      return { kind: 'rewind', where, events: count };
    case 'promote':
      return { kind, where, lose: wholeNumber(body, 'lose', { fallback: 0, min: 0 }) };
    case 'server-busy':
    case 'refuse': {
      const direction = directionOf(body, 'send');
      const refusal = kind === 'refuse' ? readRefusal(body) : serverBusy();
      return { kind: 'switch', fault: { kind: 'refuse', direction, where, count, refusal } };
    }
    case 'delay': {
      const direction = directionOf(body, 'receive');
      const milliseconds = wholeNumber(body, 'milliseconds', {
        fallback: 1_000,
        max: millisecondsMax,
      });
      return { kind: 'switch', fault: { kind, direction, where, count, milliseconds } };
    }
    default:
      throw new BadRequest(`kind is ${JSON.stringify(kind)}: use one of ${kinds.join(', ')}`);
  }
}

function readWhere({ hub = null, partition = null }: JsonObject): Where {
  if (hub !== null && typeof hub !== 'string') throw new BadRequest('hub must be a name');
  const number = partition === null ? null : Number(partition);
  const isWritten = typeof partition === 'number' || /^\d+$/.test(String(partition));
  if (number !== null && !(isWritten && Number.isInteger(number) && number >= 0)) {
    throw new BadRequest('partition must be a whole number');
  }
  return new Where(hub, number);
}

function directionOf({ direction }: JsonObject, fallback: Fault['direction']): Fault['direction'] {
  if (direction === undefined) return fallback;
  if (direction === 'send' || direction === 'receive') return direction;
  throw new BadRequest(`direction is ${JSON.stringify(direction)}: use send or receive`);
}

function readRefusal({ condition, description = 'A fault switch is on.' }: JsonObject): Refusal {
  if (typeof condition === 'string' && condition !== '' && typeof description === 'string') {
    return new Refusal(condition, description);
  }
  throw new BadRequest('refuse takes a condition, such as amqp:internal-error, and a description');
}

function wholeNumber(
  body: JsonObject,
  name: string,
  options: { readonly fallback: number; readonly min?: number; readonly max?: number },
): number {
  const { fallback, max = Number.MAX_SAFE_INTEGER, min = 1 } = options;
  const value = body[name] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw new BadRequest(`${name} must be a whole number from ${min} to ${max}`);
}
