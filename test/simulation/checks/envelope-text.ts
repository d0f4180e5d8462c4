/** The fields of a message of an exchange, as its bytes say them: read without the engine's own reader. */
export interface EnvelopeText {
  readonly topologyVersion: string;
  readonly stage: string;
  readonly partition: string;
  readonly epoch: number;
  readonly producers: number;
  readonly commit: number;
  readonly firstOrdinal: number;
  readonly watermarkMs: number | null;
  readonly through: Readonly<Record<string, PositionText>>;
  readonly events: readonly (readonly [
    key: string,
    timeMs: number,
    value: Readonly<Record<string, unknown>>,
    markMs?: number,
  ])[];
}

/** Life of the hub, sequence number, index. */
export type PositionText = readonly [string, number, number];

/** Claims that source partitions are idle. */
export interface ClaimsText {
  readonly topologyVersion: string;
  readonly ends: Readonly<Record<string, PositionText>>;
  readonly claims: readonly {
    readonly stage: string;
    readonly partition: string;
    readonly epoch: number;
    readonly cursor: PositionText;
  }[];
}

/** True where the left position comes after the right one. */
export function isAfter(left: PositionText, right: PositionText): boolean {
  const [leftLife, leftNumber, leftIndex] = left;
  const [life, number, index] = right;
  if (leftLife !== life) return leftLife > life;
  return leftNumber > number || (leftNumber === number && leftIndex > index);
}

const firstSectionAt = 9;
const sectionHeadBytes = 6;

export function envelopeText(body: Uint8Array): EnvelopeText {
  const texts = sectionTexts(body);
  const head = JSON.parse(texts.get(1) ?? '{}') as Omit<EnvelopeText, 'events'>;
  return { ...head, events: JSON.parse(texts.get(2) ?? '[]') as EnvelopeText['events'] };
}

/** Null: the message holds events. */
export function claimsText(body: Uint8Array): ClaimsText | null {
  const text = sectionTexts(body).get(3);
  return text === undefined ? null : (JSON.parse(text) as ClaimsText);
}

function sectionTexts(body: Uint8Array): ReadonlyMap<number, string> {
  const bytes = Buffer.from(body);
  const texts = new Map<number, string>();
  for (let at = firstSectionAt; at < bytes.length;) {
    const end = at + sectionHeadBytes + bytes.readUInt32LE(at + 2);
    texts.set(bytes[at] ?? 0, bytes.subarray(at + sectionHeadBytes, end).toString());
    at = end;
  }
  return texts;
}
