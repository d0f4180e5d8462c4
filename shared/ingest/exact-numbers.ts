import type { InexactNumber } from '../model/program';

/** Of fewer digits every whole number is exact, and every fraction stays one. */
const digitsMin = 16;
/** Of a number with that many digits one side of its point has at least half. */
const digitsStep = digitsMin / 2;
const zero = 0x30;
const nine = 0x39;
const point = 0x2e;

/**
 * False where every number of a JSON text is sure to be exact enough. Most events are asked only
 * this: it looks at every eighth byte.
 */
export function mayHoldInexactNumber(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start + digitsStep - 1; at < end; at += digitsStep) {
    if (!isDigit(bytes[at])) continue;
    let first = at;
    while (first > start && isDigit(bytes[first - 1])) first -= 1;
    let last = at + 1;
    while (last < end && isDigit(bytes[last])) last += 1;
    if (last - first >= digitsMin) return true;
    if (last - first >= digitsStep && hasManyDigits(bytes, first, last, start, end)) return true;
    at = last;
  }
  return false;
}

/** With those on the other side of the point. */
function hasManyDigits(
  bytes: Uint8Array,
  first: number,
  last: number,
  start: number,
  end: number,
): boolean {
  let from = first;
  let to = last;
  if (from > start && bytes[from - 1] === point) {
    from -= 1;
    while (from > start && isDigit(bytes[from - 1])) from -= 1;
  } else if (to < end && bytes[to] === point) {
    to += 1;
    while (to < end && isDigit(bytes[to])) to += 1;
  }
  return to - from > digitsMin;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}

/**
 * The numbers of a valid JSON text that become another when they are read: whole ones beyond
 * ±(2^53 − 1), those too large for a double, and fractions that are rounded to a whole number.
 */
export function inexactNumbers(json: string): InexactNumber[] {
  return new NumberFinder(json).find();
}

const numberToken = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const blanks = /[ \t\n\r]*/y;
const wordToken = /[a-z]+/y;
const wholeNumber = /^-?\d+$/;
const numberParts = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

class NumberFinder {
  readonly #json: string;
  readonly #found: InexactNumber[] = [];
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(json: string) {
    this.#json = json;
  }

  find(): InexactNumber[] {
    this.#value();
    return this.#found;
  }

  #value(): void {
    this.#take(blanks);
    const first = this.#json[this.#at];
    if (first === '{') this.#members();
    else if (first === '[') this.#elements();
    else if (first === '"') this.#text();
    else if (first === 't' || first === 'f' || first === 'n') this.#take(wordToken);
    else this.#number();
    this.#take(blanks);
  }

  #members(): void {
    do {
      this.#at += 1;
      this.#take(blanks);
      if (this.#json[this.#at] === '}') break;
      this.#path.push(JSON.parse(this.#text()) as string);
      this.#take(blanks);
      this.#at += 1;
      this.#value();
      this.#path.pop();
    } while (this.#json[this.#at] === ',');
    this.#at += 1;
  }

  #elements(): void {
    let index = 0;
    do {
      this.#at += 1;
      this.#take(blanks);
      if (this.#json[this.#at] === ']') break;
      this.#path.push(index);
      this.#value();
      this.#path.pop();
      index += 1;
    } while (this.#json[this.#at] === ',');
    this.#at += 1;
  }

  #number(): void {
    const token = this.#take(numberToken);
    if (isExactEnough(token)) return;
    this.#found.push({ path: [...this.#path], token, isWhole: wholeNumber.test(token) });
  }

  #text(): string {
    const start = this.#at;
    let end = start + 1;
    while (this.#json[end] !== '"') end += this.#json[end] === '\\' ? 2 : 1;
    this.#at = end + 1;
    return this.#json.slice(start, this.#at);
  }

  #take(token: RegExp): string {
    token.lastIndex = this.#at;
    const [text] = token.exec(this.#json) ?? [''];
    this.#at += text.length;
    return text;
  }
}

/** True where reading the number changes it no more than a double changes any fraction. */
function isExactEnough(token: string): boolean {
  const number = Number(token);
  if (!Number.isFinite(number)) return false;
  if (wholeNumber.test(token)) return Number.isSafeInteger(number);
  if (!Number.isInteger(number)) return true;
  return Number.isSafeInteger(number) && isExactly(token, Math.abs(number));
}

/** Compares digits: no number of any kind holds all that a token may spell. */
function isExactly(token: string, safeInteger: number): boolean {
  const [, whole = '', fraction = '', exponent = '0'] = numberParts.exec(token) ?? [];
  const all = `${whole}${fraction}`;
  const digits = all.replace(/^0+/, '');
  if (digits === '') return true;
  const pointAt = whole.length + Number(exponent) - (all.length - digits.length);
  if (pointAt <= 0) return false;
  const isNothingBehind = /^0*$/.test(digits.slice(pointAt));
  return isNothingBehind && digits.slice(0, pointAt).padEnd(pointAt, '0') === String(safeInteger);
}
