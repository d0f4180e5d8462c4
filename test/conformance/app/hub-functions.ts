import type { EventHubHandler, InvocationContext, RetryOptions } from '@azure/functions';
import { hubMessages } from '../../../functions/hub-messages';
import { hubFunctionNames } from './names';
import { propertiesOf, record, type Body } from './records';

/** Time a batch takes: two at once on one partition would be seen. */
const workMs = 50;

interface Options {
  readonly cardinality: 'many' | 'one';
  /** Has no type in the library. */
  readonly dataType?: 'binary' | 'string';
  readonly retry?: RetryOptions;
}

const options: Readonly<Record<(typeof hubFunctionNames)[number], Options>> = {
  'many-binary': { cardinality: 'many', dataType: 'binary' },
  'many-text': { cardinality: 'many', dataType: 'string' },
  'many-json': { cardinality: 'many' },
  'one-text': { cardinality: 'one', dataType: 'string' },
  'throws-once': { cardinality: 'many', dataType: 'binary' },
  retries: {
    cardinality: 'many',
    dataType: 'binary',
    retry: { strategy: 'fixedDelay', maxRetryCount: 3, delayInterval: { seconds: 1 } },
  },
  exhausts: {
    cardinality: 'many',
    dataType: 'binary',
    retry: { strategy: 'fixedDelay', maxRetryCount: 1, delayInterval: { seconds: 1 } },
  },
};

/** One function of each kind, each with a consumer group of its own name on the one hub. */
export const hubFunctions = hubFunctionNames.map((name) => ({
  name,
  options: options[name],
  handler: recorderOf(name),
}));

function recorderOf(name: (typeof hubFunctionNames)[number]): EventHubHandler {
  return async (input: unknown, context: InvocationContext) => {
    const startedAtMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, workMs));
    const doesThrow = mustThrow(name, context);
    const bodies = Array.isArray(input) ? input : [input];
    await record(name, {
      function: name,
      invocationId: context.invocationId,
      startedAtMs,
      endedAtMs: Date.now(),
      outcome: doesThrow ? 'threw' : 'returned',
      retryContext: context.retryContext ?? null,
      isArray: Array.isArray(input),
      bodies: bodies.map(bodyOf),
      metadata: context.triggerMetadata ?? null,
      engine: options[name].cardinality === 'many' ? engineView(bodies, context) : null,
    });
    if (doesThrow) throw new Error(`${name} throws, as its events ask`);
  };
}

/** Events say in their properties which function is to throw on them, and how often. */
function mustThrow(name: string, context: InvocationContext): boolean {
  const attempt = context.retryContext?.retryCount ?? 0;
  return propertiesOf(context).some(
    ({ throwIn, throwTimes }) => throwIn === name && attempt < Number(throwTimes),
  );
}

function bodyOf(body: unknown): Body {
  if (body instanceof Uint8Array) {
    return { kind: 'bytes', base64: Buffer.from(body).toString('base64') };
  }
  return typeof body === 'string' ? { kind: 'text', text: body } : { kind: 'json', json: body };
}

/** The same batch as Millrace's own entry point reads it. */
function engineView(bodies: unknown[], context: InvocationContext): unknown {
  const { messages, partition } = hubMessages(bodies, context);
  return {
    partition,
    messages: messages.map(({ enqueuedTimeMs, sequenceNumber }) => ({
      sequenceNumber,
      enqueuedTimeMs,
    })),
  };
}
