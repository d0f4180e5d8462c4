import type { InvocationContext, Timer } from '@azure/functions';
import { hostContainer } from './storage';

export type Body =
  | { readonly kind: 'bytes'; readonly base64: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'json'; readonly json: unknown };

/** Some hosts run each function on instances of its own: what they saw meets in blobs. */
const container = hostContainer('conformance');
const ready = container.createIfNotExists();
/** The timer writes over its own old blobs. */
const timerSlots = 8;

/** Application properties of every event of the batch. */
export function propertiesOf(context: InvocationContext): Record<string, unknown>[] {
  const { properties, propertiesArray } = (context.triggerMetadata ?? {}) as {
    propertiesArray?: Record<string, unknown>[];
    properties?: Record<string, unknown>;
  };
  return propertiesArray ?? (properties === undefined ? [] : [properties]);
}

/** Keeps a record under every run that the batch has events of. */
export async function record(
  functionName: string,
  value: {
    readonly invocationId: string;
    readonly startedAtMs: number;
    readonly metadata: unknown;
  } & Readonly<Record<string, unknown>>,
): Promise<void> {
  const context = { triggerMetadata: value.metadata } as InvocationContext;
  const runs = new Set(propertiesOf(context).map(({ run }) => String(run)));
  for (const run of runs) {
    await put(`${run}/${functionName}/${value.startedAtMs}-${value.invocationId}`, value);
  }
}

export async function recordTimer(timer: Timer, context: InvocationContext): Promise<void> {
  const startedAtMs = Date.now();
  const slot = Math.floor(startedAtMs / 1000) % timerSlots;
  const { invocationId } = context;
  await put(`timer/beat/${slot}`, { function: 'beat', invocationId, startedAtMs, timer });
}

/** Keeps what an orchestrator is given, under its instance. */
export async function recordEpisode(
  functionName: string,
  invocationId: string,
  input: unknown,
): Promise<void> {
  const trigger = (typeof input === 'string' ? JSON.parse(input) : input) as { instanceId: string };
  const startedAtMs = Date.now();
  const name = `${trigger.instanceId}/${functionName}/${startedAtMs}-${invocationId}`;
  await put(name, { function: functionName, invocationId, startedAtMs, trigger });
}

/** True for the first who asks, whichever process that is. */
export async function isFirstTime(name: string): Promise<boolean> {
  await ready;
  const { errorCode } = await container.getAppendBlobClient(name).createIfNotExists();
  return errorCode === undefined;
}

async function put(name: string, value: unknown): Promise<void> {
  await ready;
  const text = JSON.stringify(value);
  await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
}

/** What a function recorded in a run, oldest first. */
export async function recorded(run: string, functionName: string): Promise<unknown[]> {
  await ready;
  const records: { startedAtMs: number }[] = [];
  for await (const { name } of container.listBlobsFlat({ prefix: `${run}/${functionName}/` })) {
    const bytes = await container.getBlobClient(name).downloadToBuffer();
    records.push(JSON.parse(bytes.toString()) as { startedAtMs: number });
  }
  return records.sort((left, right) => left.startedAtMs - right.startedAtMs);
}
