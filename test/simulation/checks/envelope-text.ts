/** The fields of a message of an exchange, as its bytes say them: read without the engine's own reader. */
export interface EnvelopeText {
  readonly stage: string;
  readonly partition: string;
  readonly epoch: number;
  readonly producers: number;
  readonly commit: number;
  readonly firstOrdinal: number;
  readonly watermarkMs: number | null;
  readonly isIdle: boolean;
  readonly events: readonly (readonly [
    key: string,
    timeMs: number,
    value: Readonly<Record<string, unknown>>,
    markMs?: number,
  ])[];
}

const firstSectionAt = 9;
const sectionHeadBytes = 6;

export function envelopeText(body: Uint8Array): EnvelopeText {
  const bytes = Buffer.from(body);
  const texts = new Map<number, string>();
  for (let at = firstSectionAt; at < bytes.length;) {
    const end = at + sectionHeadBytes + bytes.readUInt32LE(at + 2);
    texts.set(bytes[at] ?? 0, bytes.subarray(at + sectionHeadBytes, end).toString());
    at = end;
  }
  const head = JSON.parse(texts.get(1) ?? '{}') as Omit<EnvelopeText, 'events'>;
  return { ...head, events: JSON.parse(texts.get(2) ?? '[]') as EnvelopeText['events'] };
}
