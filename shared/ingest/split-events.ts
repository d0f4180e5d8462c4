import {
  byteOrderMarkBytes,
  closeBrace,
  closeBracket,
  colon,
  comma,
  endOfText,
  isBlankInLine,
  isByteOrderMark,
  newline,
  openBrace,
  openBracket,
  quote,
  skipBlanks,
  skipBlanksBack,
} from './json-bytes';
import type { IngestLimits } from './limits';

/** Where the events of a message are. */
export interface EventPlaces {
  /** By turns where an event begins and where it ends. */
  readonly bounds: readonly number[];
  /** What is known to be wrong with an event, by its position. */
  readonly faults: ReadonlyMap<number, string>;
  /** True when there are more than the limit allows: the places are not all of them. */
  readonly isOverfull: boolean;
}

const neverClosed = 'a bracket or a quote in it is never closed';
const arrayNotClosed = 'the array that it stands in is never closed';
const elementIsEmpty = 'an element of the array is empty';
const moreOnLine = 'more stands behind it on its line';

/**
 * Finds the events of a message by its brackets, in one pass and without building any value: the
 * elements of an array where the message is one, else each value of a sequence: objects and arrays
 * over any number of lines, one after the other; numbers, texts and the like alone on their line.
 *
 * Whether a place holds JSON is not asked here; valid JSON is always in one place. Of what is broken
 * as little is given up as can be told apart: it ends where a line begins with a bracket that is
 * indented no further than the broken value, as in NDJSON and where the next pretty-printed value
 * begins. What is indented further never becomes an event of its own.
 */
export function splitEvents(bytes: Uint8Array, from: number, limits: IngestLimits): EventPlaces {
  const start = skipBlanks(bytes, from, bytes.length);
  if (bytes[start] === openBracket) {
    const elements = new Splitter(bytes, from, limits);
    if (elements.takeArray()) return elements;
  }
  const sequence = new Splitter(bytes, from, limits);
  sequence.takeSequence();
  return sequence;
}

/** What a walk through one value found. */
interface Walk {
  /** Behind the value's last byte; where it broke off, the first byte that is not part of it. */
  readonly end: number;
  readonly isClosed: boolean;
  readonly fault: string | null;
}

class Splitter implements EventPlaces {
  readonly bounds: number[] = [];
  readonly faults = new Map<number, string>();
  isOverfull = false;
  readonly #bytes: Uint8Array;
  readonly #limits: IngestLimits;
  readonly #from: number;
  #lineStart: number;
  readonly #indent = { line: -1, bytes: 0 };
  /** Where the brackets are that are open in the value under way, down to the limit of depth. */
  readonly #open: number[] = [];
  /** Brackets in the value under way that may have been meant to begin another. */
  readonly #cutStarts: number[] = [];
  /** Where they close; -1 where they do not. */
  readonly #cutEnds: number[] = [];

  constructor(bytes: Uint8Array, from: number, limits: IngestLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#from = from;
    this.#lineStart = from;
  }

  takeSequence(): void {
    const bytes = this.#bytes;
    for (let at = this.#from; at < bytes.length && !this.isOverfull;) {
      const byte = bytes[at];
      if (byte === newline) this.#lineStart = at + 1;
      if (byte === newline || isBlankInLine(byte)) at += 1;
      else if (byte === openBrace || byte === openBracket) at = this.#takeNested(at);
      else if (isByteOrderMark(bytes, at)) at += byteOrderMarkBytes;
      else at = this.#takeRestOfLine(at, at, null);
    }
  }

  /** False where the message is something else that begins like an array. */
  takeArray(): boolean {
    const bytes = this.#bytes;
    const start = skipBlanks(bytes, this.#from, bytes.length);
    this.#lineStart = bytes.lastIndexOf(newline, start) + 1;
    const column = start - this.#lineStart;
    const element = { begin: start + 1, fault: null as string | null, isAfterCut: false };
    for (let at = start + 1; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (byte === quote) {
        at = endOfText(bytes, at);
        if (bytes[at] === newline) at -= 1;
      } else if (byte === newline) {
        this.#lineStart = at + 1;
      } else if (byte === comma) {
        this.#addElement(element, at);
        Object.assign(element, { begin: at + 1, fault: null, isAfterCut: false });
      } else if (byte === closeBracket) {
        const isEmpty = this.bounds.length === 0 && skipBlanks(bytes, start + 1, at) === at;
        if (!isEmpty) this.#addElement(element, at);
        return skipBlanks(bytes, at + 1, bytes.length) === bytes.length;
      } else if (byte === openBrace || byte === openBracket) {
        const isAfterOther = skipBlanks(bytes, element.begin, at) < at;
        // A line that begins anew where a comma should be: the array was cut short in its line.
        if (isAfterOther && this.#beginsLine(at, column)) return false;
        const walk = this.#walk(at, true);
        element.fault ??= walk.fault;
        if (!walk.isClosed) {
          this.#addCuts(element.begin, walk.end, true);
          Object.assign(element, { begin: walk.end, fault: null, isAfterCut: true });
        }
        at = walk.end - 1;
      }
    }
    this.#addElement({ ...element, fault: arrayNotClosed }, bytes.length);
    return true;
  }

  #addElement(
    element: {
      readonly begin: number;
      readonly fault: string | null;
      readonly isAfterCut: boolean;
    },
    end: number,
  ): void {
    const isEmpty = skipBlanks(this.#bytes, element.begin, end) === end;
    if (isEmpty && element.isAfterCut) return;
    this.#add(element.begin, end, element.fault ?? (isEmpty ? elementIsEmpty : null));
  }

  #takeNested(start: number): number {
    const bytes = this.#bytes;
    const walk = this.#walk(start, false);
    if (!walk.isClosed) {
      this.#addCuts(start, walk.end, false);
      return walk.end;
    }
    let at = walk.end;
    while (isBlankInLine(bytes[at])) at += 1;
    const next = bytes[at];
    if (at < bytes.length && next !== newline && next !== openBrace && next !== openBracket) {
      return this.#takeRestOfLine(start, at, walk.fault ?? moreOnLine);
    }
    this.#add(start, walk.end, walk.fault);
    return at;
  }

  #takeRestOfLine(start: number, from: number, fault: string | null): number {
    const end = this.#lineEnd(from);
    this.#add(start, end, fault);
    return end;
  }

  /**
   * Walks through what opens at `start`. Which bracket closes which is not asked: what is wrong in
   * that way is no JSON and stays in one place. But an array's own end is not an element's.
   */
  #walk(start: number, isElement: boolean): Walk {
    const bytes = this.#bytes;
    const { length } = bytes;
    const { depthMax } = this.#limits;
    const column = this.#lineIndent();
    this.#cutStarts.length = 0;
    this.#cutEnds.length = 0;
    let depth = 0;
    let deepest = 0;
    let values = 0;
    let isTextBroken = false;
    for (let at = start; at < length; at += 1) {
      const byte = bytes[at];
      if (byte === quote) {
        at = endOfText(bytes, at);
        if (bytes[at] === newline) {
          isTextBroken = true;
          at -= 1;
        }
      } else if (byte === comma) {
        values += 1;
      } else if (byte === newline) {
        this.#lineStart = at + 1;
      } else if (byte === openBrace || byte === openBracket) {
        values += 1;
        if (at > start && this.#beginsLine(at, column)) {
          const isOwn = !isTextBroken && depth < depthMax && this.#mayNest(at, depth);
          if (!isOwn) return { end: at, isClosed: false, fault: null };
          this.#openCut(at);
        }
        if (depth < depthMax) this.#open[depth] = at;
        depth += 1;
        if (depth > deepest) deepest = depth;
      } else if (byte === closeBrace || byte === closeBracket) {
        const opening = depth <= depthMax ? (this.#open[depth - 1] ?? start) : start;
        const isArrayEnd = isElement && byte === closeBracket && bytes[opening] === openBrace;
        if (isArrayEnd && depth <= depthMax) return { end: at, isClosed: false, fault: null };
        depth -= 1;
        if (depth < depthMax) this.#closeCut(opening, at + 1);
        if (depth === 0) return { end: at + 1, isClosed: true, fault: this.#over(deepest, values) };
      }
    }
    return { end: length, isClosed: false, fault: null };
  }

  #over(depth: number, values: number): string | null {
    const { depthMax, valuesMax } = this.#limits;
    if (depth > depthMax) return `it is nested ${depth} deep, ${depthMax} is allowed`;
    if (values > valuesMax) return `it holds ${values} values, ${valuesMax} are allowed`;
    return null;
  }

  /** True for the first byte of its line that is not blank, where that is no further right. */
  #beginsLine(at: number, column: number): boolean {
    const own = at - this.#lineStart;
    return own <= column && own === this.#lineIndent();
  }

  #lineIndent(): number {
    if (this.#indent.line !== this.#lineStart) {
      let at = this.#lineStart;
      while (isBlankInLine(this.#bytes[at])) at += 1;
      this.#indent.line = this.#lineStart;
      this.#indent.bytes = at - this.#lineStart;
    }
    return this.#indent.bytes;
  }

  /** Whether JSON allows a value at this place, by what is before it. */
  #mayNest(at: number, depth: number): boolean {
    const parent = this.#open[depth - 1] ?? 0;
    const before = this.#bytes[skipBlanksBack(this.#bytes, parent, at) - 1];
    const isInArray = this.#bytes[parent] === openBracket;
    return isInArray ? before === comma || before === openBracket : before === colon;
  }

  #openCut(at: number): void {
    if (this.#cutStarts.length > this.#limits.eventsMax) return;
    this.#cutStarts.push(at);
    this.#cutEnds.push(-1);
  }

  /** What is in a closed bracket is its own. */
  #closeCut(opening: number, end: number): void {
    const starts = this.#cutStarts;
    while (starts.length > 0 && (starts.at(-1) ?? 0) > opening) {
      starts.pop();
      this.#cutEnds.pop();
    }
    if (starts.length > 0 && starts.at(-1) === opening) this.#cutEnds[starts.length - 1] = end;
  }

  /** Adds what a value that broke off holds: whole values that begin lines, and the broken rest. */
  #addCuts(start: number, end: number, isElement: boolean): void {
    const bytes = this.#bytes;
    const isArray = isElement || bytes[start] === openBracket;
    let rest = start;
    this.#cutStarts.forEach((cutStart, index) => {
      this.#addBroken(rest, cutStart);
      rest = cutStart;
      const cutEnd = this.#cutEnds[index] ?? -1;
      if (cutEnd < 0) return;
      let behind = cutEnd;
      while (isBlankInLine(bytes[behind])) behind += 1;
      if (isArray && bytes[behind] === comma) behind += 1;
      while (isBlankInLine(bytes[behind])) behind += 1;
      const isAlone = behind >= end || bytes[behind] === newline;
      rest = isAlone ? Math.min(behind, end) : Math.min(this.#lineEnd(behind), end);
      this.#add(cutStart, isAlone ? cutEnd : rest, isAlone ? null : moreOnLine);
    });
    this.#addBroken(rest, end);
  }

  #addBroken(start: number, end: number): void {
    if (skipBlanks(this.#bytes, start, end) < end) this.#add(start, end, neverClosed);
  }

  #lineEnd(from: number): number {
    const end = this.#bytes.indexOf(newline, from);
    return end === -1 ? this.#bytes.length : end;
  }

  #add(start: number, end: number, fault: string | null): void {
    const place = this.bounds.length / 2;
    if (place >= this.#limits.eventsMax) {
      this.isOverfull = true;
      return;
    }
    if (fault !== null) this.faults.set(place, fault);
    const first = skipBlanks(this.#bytes, start, end);
    this.bounds.push(first, skipBlanksBack(this.#bytes, first, end));
  }
}
