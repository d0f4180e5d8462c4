import { whyNotRedriven } from '../../shared/task/settle-letters';
import {
  readLetters,
  stateOf,
  type FiledLetter,
  type LetterFilter,
  type LetterState,
} from '../../shared/operations/letters/letter-reader';
import type { Topology } from '../../shared/dataflow';
import { assertSpan } from '../arguments';
import { printable, type Output } from '../output';
import type { Store } from '../store';
import { assertKnown } from './inspect';

export interface LetterFlags {
  readonly state: LetterState | 'all';
  readonly stage?: string;
  readonly partition?: string;
  readonly code?: string;
  readonly operator?: string;
  readonly text?: string;
  readonly since?: number;
  readonly until?: number;
  readonly name?: readonly string[];
}

export function letterFilter(flags: LetterFlags): LetterFilter {
  const { code, name, operator, partition, since, stage, state, text, until } = flags;
  assertSpan(flags);
  return {
    ...(state !== 'all' && { state }),
    ...(stage !== undefined && { stage }),
    ...(partition !== undefined && { partition }),
    ...(code !== undefined && { code }),
    ...(operator !== undefined && { operator }),
    ...(text !== undefined && { text }),
    ...(since !== undefined && { fromMs: since }),
    ...(until !== undefined && { toMs: until }),
    ...(name !== undefined && { names: [...name] }),
  };
}

/** Lists dead letters by cause, stage and time, or counts them by cause. */
export async function showDeadLetters(
  store: Store,
  request: {
    readonly topologies: readonly Topology[];
    readonly topology: string;
    readonly flags: LetterFlags;
    readonly limit: number;
    readonly withPayload: boolean;
  },
  output: Output,
): Promise<void> {
  const { flags, limit, topologies, topology, withPayload } = request;
  assertKnown(topologies, topology);
  const letters = await readLetters(store.appends, topology, letterFilter(flags));
  const shown = letters.slice(0, limit);
  const lines = [
    ...causes(letters),
    ...shown.map((filed) => letterText(filed, withPayload)),
    ...(letters.length > shown.length
      ? [`… and ${letters.length - shown.length} more (--limit)`]
      : []),
  ];
  const values = shown.map((filed) => ({
    ...{ name: filed.name, state: stateOf(filed), diedAtMs: filed.diedAtMs },
    ...{ stage: filed.path.stage, partition: filed.path.partition, verdict: filed.verdict },
    ...filed.letter,
    whyNotRedriven: whyNotRedriven(filed.letter),
  }));
  output.result(values, letters.length === 0 ? 'No dead letters.' : lines.join('\n'));
}

function causes(letters: readonly FiledLetter[]): string[] {
  const counts = new Map<string, number>();
  for (const { letter, path } of letters) {
    const cause = `${letter.code} in ${path.stage}/${letter.operator}`;
    counts.set(cause, (counts.get(cause) ?? 0) + 1);
  }
  const sorted = Array.from(counts).sort(([, left], [, right]) => right - left);
  return sorted.map(([cause, count]) => `${String(count).padStart(8)}  ${cause}`);
}

function letterText(filed: FiledLetter, withPayload: boolean): string {
  const { diedAtMs, letter, name } = filed;
  const when = new Date(diedAtMs).toISOString();
  const head = `${name}  ${when}  ${stateOf(filed)}  attempt ${letter.attempts}  event ${letter.sequenceNumber}.${letter.index}  ${printable(letter.message)}`;
  if (!withPayload) return head;
  const payload = Buffer.from(letter.payloadBase64, 'base64').toString('utf8').slice(0, 2_000);
  return `${head}\n    ${printable(payload)}`;
}
