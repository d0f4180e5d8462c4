import type { BlobDownloadResponseParsed } from '@azure/storage-blob';
import type { BlobContainer } from './blob-container';
import { statusOf, storeUnavailable } from './blob-failure';

/** Bytes of one request; more than that is read in several. */
const rangeBytesMax = 32 * 1024 * 1024;

interface Range {
  readonly bytes: Buffer;
  /** Length of the blob when this range was read. */
  readonly total: number;
  readonly etag: string | undefined;
}

/** A pinned blob that is replaced so often while it is read is given up. */
const replacementsMax = 8;

/**
 * Reads a blob from a position to the end it had when reading began. Undefined: no such blob.
 * @param request.isPinned the blob may be replaced as a whole: read one version of it. Not for append
 *   blobs, which only grow: their every append is a new version.
 */
export async function downloadFrom(
  container: BlobContainer,
  request: { readonly blob: string; readonly fromPosition: number; readonly isPinned: boolean },
): Promise<Buffer | undefined> {
  for (let replacements = 0; replacements <= replacementsMax; replacements += 1) {
    const bytes = await downloadVersion(container, request);
    if (bytes !== 'replaced') return bytes;
  }
  throw storeUnavailable(
    { operation: 'read', blob: request.blob, tries: replacementsMax + 1 },
    new Error('it is replaced faster than it can be read'),
  );
}

async function downloadVersion(
  container: BlobContainer,
  request: { readonly blob: string; readonly fromPosition: number; readonly isPinned: boolean },
): Promise<Buffer | undefined | 'replaced'> {
  const { blob, fromPosition, isPinned } = request;
  const first = await downloadRange(container, { blob, fromPosition, count: rangeBytesMax });
  if (first === undefined || first === 'replaced') return first;
  const ranges = [first.bytes];
  let position = fromPosition + first.bytes.byteLength;
  while (position < first.total) {
    const next = await downloadRange(container, {
      blob,
      fromPosition: position,
      count: Math.min(rangeBytesMax, first.total - position),
      ...(isPinned && first.etag !== undefined ? { etag: first.etag } : {}),
    });
    if (next === undefined || next === 'replaced') return next;
    ranges.push(next.bytes);
    position += next.bytes.byteLength;
  }
  return ranges.length === 1 ? first.bytes : Buffer.concat(ranges);
}

function downloadRange(
  container: BlobContainer,
  request: {
    readonly blob: string;
    readonly fromPosition: number;
    readonly count: number;
    readonly etag?: string;
  },
): Promise<Range | undefined | 'replaced'> {
  const { blob, count, etag, fromPosition } = request;
  const client = container.client.getBlobClient(blob);
  return container.run({ operation: 'read', blob, bytes: count }, async (abortSignal) => {
    try {
      const response = await client.download(fromPosition, count, {
        abortSignal,
        ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
      });
      const bytes = await readBody(response);
      return { bytes, total: totalOf(response), etag: response.etag };
    } catch (error) {
      const status = statusOf(error);
      if (status === 404) return undefined;
      if (status === 412 && etag !== undefined) return 'replaced';
      // Nothing from that position on: the blob ends there, or is empty.
      if (status === 416) return { bytes: Buffer.alloc(0), total: 0, etag: undefined };
      throw error;
    }
  });
}

async function readBody(response: BlobDownloadResponseParsed): Promise<Buffer> {
  const length = response.contentLength ?? 0;
  const bytes = Buffer.allocUnsafeSlow(length);
  let position = 0;
  for await (const chunk of response.readableStreamBody ?? []) {
    const part = chunk as Buffer;
    if (position + part.byteLength > length) break;
    bytes.set(part, position);
    position += part.byteLength;
  }
  if (position !== length)
    throw new Error(`the body has ${position} bytes, ${length} were announced`);
  return bytes;
}

/** `Content-Range: bytes 0-99/1234` says the blob's whole length. */
function totalOf(response: BlobDownloadResponseParsed): number {
  const total = response.contentRange?.split('/')[1];
  return total === undefined ? (response.contentLength ?? 0) : Number(total);
}
