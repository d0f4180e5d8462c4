/** The hub that the app reads and writes; each function has the consumer group of its own name. */
export const hubName = 'conformance';

export const hubFunctionNames = [
  'many-binary',
  'many-text',
  'many-json',
  'one-text',
  'throws-once',
  'retries',
  'exhausts',
] as const;

export const orchestratorNames = [
  'durable-chain',
  'durable-fan-out',
  'durable-timer',
  'durable-timeout',
  'durable-event',
  'durable-retry',
  'durable-failure',
  'durable-parent',
  'durable-child',
  'durable-again',
] as const;

export const partitionCount = 4;
