import { StreamError } from '../model/errors';

/** Blocks that the service allows in one append blob. */
export const serviceBlocksMax = 50_000;

export function fullLog(name: string, blocks: number): StreamError {
  return new StreamError(
    'STREAM_STORE_UNAVAILABLE',
    `${name} holds ${blocks} blocks, the service allows ${serviceBlocksMax}: it must ` +
      'roll first, which waits for the lake tables and exchange hubs to take their output',
    { details: { blocks } },
  );
}
