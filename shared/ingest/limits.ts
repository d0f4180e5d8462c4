/** What one message may hold: a few bytes of gzip must not take a worker's whole memory. */
export interface IngestLimits {
  /** Of the message after decompression. */
  readonly bytesMax: number;
  readonly eventsMax: number;
  /** Brackets open at one time in an event. */
  readonly depthMax: number;
  /** Numbers, texts, objects, arrays … in an event, counted by its commas and opening brackets. */
  readonly valuesMax: number;
}

export const ingestLimits: IngestLimits = {
  bytesMax: 32 * 1024 * 1024,
  eventsMax: 100_000,
  depthMax: 1_000,
  valuesMax: 1_000_000,
};
