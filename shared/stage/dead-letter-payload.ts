import { gunzipSync, gzipSync } from 'node:zlib';

/** From here on a payload is compressed: it came in compressed, or as a message near the limit. */
const plainBytesMax = 256 * 1024;
/** What is kept of a payload that does not fit even so. */
const headBytesMax = 64 * 1024;

/**
 * The bytes of a dead letter as its commit can hold them: whole; else whole in gzip, which ingest
 * reads as well as it reads JSON; else its beginning, with a note that says where the rest is.
 */
export function keptPayload(
  payload: Uint8Array,
  bytesMax: number,
): { readonly bytes: Uint8Array; readonly note: string } {
  if (payload.byteLength <= Math.min(plainBytesMax, bytesMax)) return { bytes: payload, note: '' };
  const compressed = isGzip(payload) ? payload : gzipSync(payload);
  if (compressed.byteLength <= bytesMax) return { bytes: compressed, note: '' };
  const kept = Math.min(headBytesMax, bytesMax);
  return {
    bytes: payload.subarray(0, kept),
    note: ` (the first ${kept} of its ${payload.byteLength} bytes are kept; the hub has all while its retention lasts)`,
  };
}

/**
 * The value of an event whose dead letter kept these bytes; undefined where only their beginning was
 * kept, or they never were JSON.
 */
export function valueOfPayload(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    const text = (isGzip(bytes) ? gunzipSync(bytes) : Buffer.from(bytes)).toString('utf8');
    return { value: JSON.parse(text) as unknown };
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}
