import { gunzipSync, gzipSync } from 'node:zlib';
import { decodeEvent, type DecodedEvent } from '../ingest/decode';

/** From here on a payload is compressed: it came in compressed, or as a message near the limit. */
const plainBytesMax = 256 * 1024;
/** More than any event that ingest takes in: a few bytes of gzip must not fill a worker's memory. */
const inflatedBytesMax = 64 * 1024 * 1024;
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
 * The event whose dead letter kept these bytes; undefined where only their beginning was kept, or
 * they never were JSON.
 */
export function eventOfPayload(bytes: Uint8Array): (DecodedEvent & { ok: true }) | undefined {
  try {
    const inflated = isGzip(bytes)
      ? gunzipSync(bytes, { maxOutputLength: inflatedBytesMax })
      : Buffer.from(bytes);
    const event = decodeEvent(inflated);
    return event.ok ? event : undefined;
  } catch {
    return undefined;
  }
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}
