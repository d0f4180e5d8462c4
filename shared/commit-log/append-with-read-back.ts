import { corruptLog } from './corruption';
import { StreamError } from '../model/errors';
import type { AppendStore } from '../model/ports';

export type AppendOutcome = 'appended' | 'conflict';

export interface BlockOutcome {
  readonly kind: AppendOutcome;
  /** What the blob holds from the expected position on, without our own block. */
  readonly tail: Uint8Array;
  /** True when the store's answer left doubt and the blob was read. */
  readonly isReadBack: boolean;
}

/**
 * Appends, and where the answer leaves doubt looks for the block in the blob. A refused position
 * may mean that an earlier try of this very append arrived and only its response was lost.
 *
 * @throws StreamError STREAM_STORE_UNAVAILABLE: the block was not seen in the blob, but may yet arrive
 */
export async function appendWithReadBack(
  appends: AppendStore,
  request: Parameters<AppendStore['append']>[0],
): Promise<BlockOutcome | 'missing'> {
  let failure: StreamError | undefined;
  try {
    const outcome = await appends.append(request);
    if (outcome === 'missing') return 'missing';
    if (outcome === 'appended') {
      return { kind: 'appended', tail: new Uint8Array(), isReadBack: false };
    }
  } catch (error) {
    if (!(error instanceof StreamError) || error.code !== 'STREAM_STORE_UNAVAILABLE') throw error;
    failure = error;
  }
  const { block, expectedPosition, name } = request;
  const tail = await appends.readFrom(name, expectedPosition);
  if (tail === undefined) return 'missing';
  if (startsWith(tail, block)) {
    return { kind: 'appended', tail: tail.subarray(block.byteLength), isReadBack: true };
  }
  if (tail.byteLength === 0) {
    if (failure !== undefined) throw failure;
    await assertNotShorter(appends, name, expectedPosition);
  }
  return { kind: 'conflict', tail, isReadBack: true };
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.byteLength), start) === 0;
}

/** A log never loses bytes: one that is shorter than what was read was restored or replaced. */
async function assertNotShorter(
  appends: AppendStore,
  name: string,
  position: number,
): Promise<void> {
  const stat = await appends.stat(name);
  if (stat === undefined || stat.bytes >= position) return;
  throw corruptLog(
    { blob: name, position: stat.bytes },
    `the blob ends here, yet this process has read ${position} bytes of it before`,
  );
}
