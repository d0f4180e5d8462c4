/** What `start` shows while it runs: the most important first, in as many columns as there are. */
export interface StackStatus {
  readonly isBalanced: boolean;
  readonly deadLettered: number;
  readonly late: number;
  /** Events that the sources have read, and how many of them a second. */
  readonly read: number;
  readonly readPerSecond: number;
  /** Events sent by the replay and not read yet. */
  readonly lag: number;
  readonly workers: number;
  /** In few words; none: all goes on. */
  readonly troubles: readonly string[];
}

export interface Segment {
  readonly text: string;
  readonly isAlarm: boolean;
}

const gap = 2;

/** Parts of the line, without those that do not fit any more. Only the first trouble is shown. */
export function statusSegments(status: StackStatus, columns: number): readonly Segment[] {
  const { deadLettered, isBalanced, lag, late, read, readPerSecond, troubles, workers } = status;
  const [trouble, ...more] = troubles;
  const segments: Segment[] = [
    { text: isBalanced ? 'ledger balanced' : 'LEDGER NOT BALANCED', isAlarm: !isBalanced },
    ...(trouble === undefined
      ? []
      : [
          {
            text: more.length === 0 ? trouble : `${trouble} (+${more.length})`,
            isAlarm: true,
          },
        ]),
    { text: `dead ${short(deadLettered)}`, isAlarm: deadLettered > 0 },
    { text: `late ${short(late)}`, isAlarm: false },
    { text: `read ${short(read)}, ${short(readPerSecond)}/s`, isAlarm: false },
    { text: `lag ${short(lag)}`, isAlarm: false },
    { text: `workers ${workers}`, isAlarm: false },
  ];
  const shown: Segment[] = [];
  let left = columns;
  for (const { isAlarm, text } of segments) {
    const room = left - (shown.length === 0 ? 0 : gap);
    if (text.length <= room) {
      shown.push({ isAlarm, text });
      left = room - text.length;
    } else if (isAlarm && room > 1) {
      // An alarm is cut rather than left out.
      shown.push({ isAlarm, text: `${text.slice(0, room - 1)}…` });
      left = 0;
    }
  }
  return shown;
}

/** The line; alarms in red where colours are shown. */
export function statusLine(
  status: StackStatus,
  options: { readonly columns: number; readonly isColoured: boolean },
): string {
  return statusSegments(status, options.columns)
    .map(({ isAlarm, text }) =>
      isAlarm && options.isColoured ? `\u001b[31m${text}\u001b[39m` : text,
    )
    .join(' '.repeat(gap));
}

/** Up to six characters: 999, 12.3k, 3.00M. */
function short(count: number): string {
  if (count < 1_000) return String(Math.round(count));
  const [unit, size] = count < 999_500 ? ['k', 1_000] : ['M', 1_000_000];
  const scaled = count / size;
  const digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${unit}`;
}
