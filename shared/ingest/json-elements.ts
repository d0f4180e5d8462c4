const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const brackets: ReadonlyMap<number, number> = new Map([
  [0x5b, 1],
  [0x7b, 1],
  [0x5d, -1],
  [0x7d, -1],
]);

/**
 * The texts of an array's elements as they stand in a valid JSON text.
 * @param start where the array's opening bracket is
 */
export function elementTexts(json: string, start: number): string[] {
  const texts: string[] = [];
  let depth = 0;
  let begin = start + 1;
  for (let at = start; at < json.length; at += 1) {
    const unit = json.charCodeAt(at);
    if (unit === quote) {
      at = endOfString(json, at);
      continue;
    }
    depth += brackets.get(unit) ?? 0;
    if (depth > 1 || (depth === 1 && unit !== comma)) continue;
    const text = json.slice(begin, at).trim();
    if (text !== '') texts.push(text);
    if (depth === 0) break;
    begin = at + 1;
  }
  return texts;
}

function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at += 1) {
    const unit = json.charCodeAt(at);
    if (unit === quote) return at;
    if (unit === backslash) at += 1;
  }
  return json.length;
}
