/** Where a command speaks: lines for people, or one JSON document for programs. */
export interface Output {
  say(line: string): void;
  /**
   * A line that replaces the one before it on a terminal, made for the room that there is: one that
   * is longer would not be replaced.
   */
  progress(line: string | ((room: ProgressRoom) => string)): void;
  /** Takes the line of progress away, for others who write. */
  clear(): void;
  /** The result: printed as JSON, or as the text given. */
  result(value: unknown, text: string): void;
}

interface ProgressRoom {
  readonly columns: number;
  readonly isColoured: boolean;
}

/**
 * Events are others' words: what would move the cursor, clear the terminal or turn text round (the
 * controls of bidirectional text) is shown as its code.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (control) =>
    control === '\n' || control === '\t'
      ? control
      : `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const unprintable = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\uFEFF]|\p{Surrogate}/gu;

const clearLine = '\r\u001b[2K';
/** Where there is no terminal, progress is told this often. */
const plainProgressIntervalMs = 5_000;

export function createOutput(options: { readonly isJson: boolean }): Output {
  const isTerminal = process.stderr.isTTY;
  let hasProgress = false;
  let toldAtMs = 0;
  const wipe = (): void => {
    if (hasProgress) process.stderr.write(clearLine);
    hasProgress = false;
  };
  return {
    say: (line) => {
      wipe();
      process.stderr.write(`${line}\n`);
    },
    progress: (line) => {
      if (isTerminal) {
        const columns = (process.stderr.columns || 80) - 1;
        const isColoured = process.stderr.hasColors();
        const text =
          typeof line === 'string' ? line.slice(0, columns) : line({ columns, isColoured });
        process.stderr.write(`${clearLine}${text}`);
        hasProgress = true;
      } else if (Date.now() - toldAtMs >= plainProgressIntervalMs) {
        toldAtMs = Date.now();
        const text = typeof line === 'string' ? line : line({ columns: 80, isColoured: false });
        process.stderr.write(`${text}\n`);
      }
    },
    clear: wipe,
    result: (value, text) => {
      wipe();
      process.stdout.write(options.isJson ? `${JSON.stringify(value)}\n` : `${text}\n`);
    },
  };
}
