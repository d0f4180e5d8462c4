import { Type, type Static } from 'typebox';
import { listLogs, readLog } from '../../commit-log/log-reader';
import type { DeadLetter, LetterVerdict } from '../../model/commit';
import type { AppendStore } from '../../model/ports';
import type { TaskAddress } from '../../model/task-address';

/** A dead letter with where it is kept and what became of it. */
export interface FiledLetter {
  /** `<stage>/<partition>/<commit>.<n>`: names it in its topology, for ever. */
  readonly name: string;
  readonly path: TaskAddress;
  /** Its id within its task: `<commit>.<n>`. */
  readonly id: string;
  readonly diedAtMs: number;
  readonly letter: DeadLetter;
  /** Null: open. */
  readonly verdict: LetterVerdict | null;
}

const letterState = Type.Union([
  Type.Literal('open'),
  Type.Literal('redriven'),
  Type.Literal('discarded'),
]);

export type LetterState = Static<typeof letterState>;

/** Which letters are wanted; what is left out does not matter. */
export const letterFilter = Type.Object(
  {
    state: Type.Optional(letterState),
    stage: Type.Optional(Type.String()),
    partition: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
    operator: Type.Optional(Type.String()),
    /** A part of the message. */
    text: Type.Optional(Type.String()),
    /** When it died, from (inclusive) and to (exclusive). */
    fromMs: Type.Optional(Type.Number()),
    toMs: Type.Optional(Type.Number()),
    names: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);

export type LetterFilter = Static<typeof letterFilter>;

/**
 * Every dead letter of a topology that its logs still hold, oldest first within a task. Letters live
 * as long as the generation of the log that they are in (its retention): the state of one that is
 * read is always known, since its verdict is later in the same log.
 */
export async function readLetters(
  appends: AppendStore,
  topology: string,
  filter: LetterFilter = {},
): Promise<readonly FiledLetter[]> {
  const found: FiledLetter[] = [];
  const verdicts = new Map<string, LetterVerdict>();
  for (const path of await listLogs(appends, topology)) {
    const task = `${path.stage}/${path.partition}`;
    const { records } = await readLog(appends, path, null);
    for (const record of records) {
      if (record.kind !== 'commit') continue;
      record.deadLetters.forEach((letter, n) => {
        const id = `${record.commit}.${n}`;
        const name = `${task}/${id}`;
        const diedAtMs = record.committedAtMs;
        found.push({ name, path, id, diedAtMs, letter, verdict: null });
      });
      for (const { id, verdict } of record.settledLetters) verdicts.set(`${task}/${id}`, verdict);
    }
  }
  return found
    .map((letter) => ({ ...letter, verdict: verdicts.get(letter.name) ?? null }))
    .filter((letter) => isWanted(letter, filter));
}

export function stateOf({ verdict }: FiledLetter): LetterState {
  return verdict === null ? 'open' : verdict.kind;
}

function isWanted(filed: FiledLetter, filter: LetterFilter): boolean {
  const { diedAtMs, letter, name, path } = filed;
  const { code, fromMs, names, operator, partition, stage, state, text, toMs } = filter;
  return (
    (state === undefined || stateOf(filed) === state) &&
    (stage === undefined || path.stage === stage) &&
    (partition === undefined || path.partition === partition) &&
    (code === undefined || letter.code === code) &&
    (operator === undefined || letter.operator === operator) &&
    (text === undefined || letter.message.includes(text)) &&
    (fromMs === undefined || diedAtMs >= fromMs) &&
    (toMs === undefined || diedAtMs < toMs) &&
    (names === undefined || names.includes(name))
  );
}
