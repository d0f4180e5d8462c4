/** A load over time: events per second, for every second from 0. */
export interface LoadProfile {
  readonly name: string;
  readonly eventsPerSecond: Float64Array;
}

class InvalidProfile extends Error {}

const header = 'second,eventsPerSecond';
/** A week: longer profiles are a slip of units, milliseconds for seconds above all. */
const secondsMax = 7 * 86_400;

const example = `${header}\\n0,1000\\n600,50000\\n900,1000\\n3600,1000`;

/**
 * Reads a profile: after the header, one line per change of rate. A rate holds until the next line;
 * the last line's second is the profile's last.
 */
export function parseProfile(name: string, text: string): LoadProfile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const fault = (line: number, message: string): InvalidProfile =>
    new InvalidProfile(`${name}:${line}: ${message}`);
  if (lines[0]?.replaceAll(' ', '') !== header) {
    throw fault(1, `the first line must be "${header}", as in ${example}`);
  }
  const steps: { readonly second: number; readonly rate: number }[] = [];
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    const fields = line.split(',');
    if (fields.length !== 2) throw fault(index + 1, `two fields are needed, not "${line}"`);
    const second = numberOf(fields[0]);
    const rate = numberOf(fields[1]);
    if (!Number.isInteger(second) || second < 0 || second >= secondsMax) {
      throw fault(
        index + 1,
        `the second must be a whole number from 0 to ${secondsMax - 1}, not "${fields[0]}"`,
      );
    }
    if (!Number.isFinite(rate) || rate < 0) {
      throw fault(
        index + 1,
        `events per second must be a number and not negative, not "${fields[1]}"`,
      );
    }
    const before = steps.at(-1)?.second ?? -1;
    if (steps.length === 0 && second !== 0) throw fault(index + 1, 'the first second must be 0');
    if (second <= before) {
      throw fault(index + 1, `seconds must ascend: ${second} comes after ${before}`);
    }
    steps.push({ second, rate });
  }
  const last = steps.at(-1);
  if (last === undefined) throw fault(2, `there is no line after the header, as in ${example}`);
  const eventsPerSecond = new Float64Array(last.second + 1);
  steps.forEach(({ rate, second }, index) => {
    eventsPerSecond.fill(rate, second, steps[index + 1]?.second ?? last.second + 1);
  });
  return { name, eventsPerSecond };
}

function numberOf(text: string | undefined): number {
  const trimmed = text?.trim() ?? '';
  return /^-?\d+(\.\d+)?(e\d+)?$/i.test(trimmed) ? Number(trimmed) : Number.NaN;
}

type Shape = (second: number) => number;

const builtIn: Readonly<Record<string, { readonly seconds: number; readonly shape: Shape }>> = {
  // An hour at a tenth, with five minutes of everything.
  spike: { seconds: 3_600, shape: (second) => (second >= 600 && second < 900 ? 1 : 0.1) },
  // A day between a fifth, at four in the morning, and everything, at four in the afternoon.
  daily: {
    seconds: 86_400,
    shape: (second) => 0.6 - 0.4 * Math.cos((2 * Math.PI * (second - 4 * 3_600)) / 86_400),
  },
  // An hour up and an hour down.
  ramp: { seconds: 7_200, shape: (second) => 1 - Math.abs(second - 3_600) / 3_600 },
};

export const builtInProfiles: readonly string[] = Object.keys(builtIn);

/** A built-in profile at a peak; null when there is none of the name. */
export function builtInProfile(name: string, peak: number): LoadProfile | null {
  const found = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
  if (found === undefined) return null;
  return {
    name,
    eventsPerSecond: Float64Array.from(
      { length: found.seconds },
      (_, second) => peak * found.shape(second),
    ),
  };
}
