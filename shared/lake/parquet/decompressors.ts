import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { Compressors } from 'hyparquet';
import { Decompress } from 'fzstd';
import { decompressLz4, decompressLz4Raw } from 'hyparquet-compressors';

/** A page of Parquet is about 1 MiB; no writer makes one of this size, a damaged header may say so. */
const pageBytesMax = 512 * 1024 * 1024;

/**
 * For files that others wrote: ours are Snappy, which hyparquet knows itself. Each takes no more than
 * the length that the page's header gives.
 */
export const decompressors: Compressors = {
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: checked(length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: checked(length) }),
  ZSTD: (input, length) => decompressZstd(input, checked(length)),
  LZ4: (input, length) => decompressLz4(input, checked(length)),
  LZ4_RAW: (input, length) => decompressLz4Raw(input, checked(length)),
};

function checked(length: number): number {
  if (length >= 0 && length <= pageBytesMax) return length;
  throw new Error(`a page of ${length} bytes is over the limit of ${pageBytesMax}`);
}

/** Frame by frame: a page may have several, and each may claim any length. */
function decompressZstd(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let filled = 0;
  const decompressor = new Decompress((chunk) => {
    // Throws a RangeError where the page is longer than its header says.
    output.set(chunk, filled);
    filled += chunk.length;
  });
  decompressor.push(input, true);
  return output.subarray(0, filled);
}
