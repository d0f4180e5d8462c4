/** Where a command speaks: lines for people, or one JSON document for programs. */
export interface Output {
  say(line: string): void;
  /** A line that replaces the one before it on a terminal. */
  progress(line: string): void;
  /** The result: printed as JSON, or as the text given. */
  result(value: unknown, text: string): void;
}

/** Events are others' words: what would move the cursor or clear the terminal is shown as text. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) =>
    control === '\n' || control === '\t'
      ? control
      : `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

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
        process.stderr.write(`${clearLine}${line.slice(0, (process.stderr.columns || 80) - 1)}`);
        hasProgress = true;
      } else if (Date.now() - toldAtMs >= plainProgressIntervalMs) {
        toldAtMs = Date.now();
        process.stderr.write(`${line}\n`);
      }
    },
    result: (value, text) => {
      wipe();
      process.stdout.write(options.isJson ? `${JSON.stringify(value)}\n` : `${text}\n`);
    },
  };
}
