/** The expression language of deployment templates: `[format('{0}', parameters('name'))]`. */

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

type Node =
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Node[] }
  | { readonly kind: 'member'; readonly target: Node; readonly key: Node };

/** What calls mean. Arguments come unevaluated: `if` must not look at the branch not taken. */
export interface Meaning {
  call(name: string, args: readonly Argument[]): Json;
}

export interface Argument {
  /** Evaluates the argument; `lambda` arguments bind names first. */
  value(bound?: Readonly<Record<string, Json>>): Json;
  /** Of a lambda: what it calls its items. */
  readonly itemName?: string;
}

/** Evaluates a template's string: a plain text, or an expression in brackets. */
export function evaluateText(text: string, meaning: Meaning): Json {
  if (text.startsWith('[[')) return text.slice(1);
  if (!text.startsWith('[') || !text.endsWith(']')) return text;
  return evaluate(parse(text.slice(1, -1)), meaning, {});
}

function evaluate(node: Node, meaning: Meaning, bound: Readonly<Record<string, Json>>): Json {
  if (node.kind === 'literal') return node.value;
  if (node.kind === 'member') {
    const target = evaluate(node.target, meaning, bound);
    const key = evaluate(node.key, meaning, bound);
    return memberOf(target, key);
  }
  if (node.name === 'lambdaVariables') {
    const name = String(evaluate(node.args[0] as Node, meaning, bound));
    return memberOf(bound, name);
  }
  const args = node.args.map((arg) => ({
    value: (more: Readonly<Record<string, Json>> = {}) =>
      evaluate(arg, meaning, { ...bound, ...more }),
  }));
  if (node.name === 'lambda') {
    const names = args.slice(0, -1).map((arg) => String(arg.value()));
    throw new Error(`a lambda of ${names.join(', ')} stands where a value must stand`);
  }
  return meaning.call(node.name, node.args.map(asArgument));

  function asArgument(arg: Node, index: number): Argument {
    if (arg.kind !== 'call' || arg.name !== 'lambda') return args[index] as Argument;
    const body = arg.args.at(-1) as Node;
    const itemName = String(evaluate(arg.args[0] as Node, meaning, bound));
    return { itemName, value: (more = {}) => evaluate(body, meaning, { ...bound, ...more }) };
  }
}

export function memberOf(target: Json, key: Json): Json {
  if (Array.isArray(target) && typeof key === 'number' && key < target.length) {
    return target[key] as Json;
  }
  const object = target as Readonly<Record<string, Json>> | null;
  if (object !== null && typeof object === 'object' && String(key) in object) {
    return object[String(key)] as Json;
  }
  throw new Error(`there is no ${JSON.stringify(key)} in ${JSON.stringify(target)?.slice(0, 300)}`);
}

const tokenPattern = /\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_][\w.]*)|([()[\],.]))/y;

/** Reads one expression; throws where the text is none. */
function parse(text: string): Node {
  const tokens = tokenize(text);
  let at = 0;
  const node = parseOne();
  if (at !== tokens.length) throw new Error(`nothing may follow the expression in: ${text}`);
  return node;

  function parseOne(): Node {
    const token = tokens[at++];
    if (token === undefined) throw new Error(`the expression ends early: ${text}`);
    if (token.kind === 'text') return withMembers({ kind: 'literal', value: token.text });
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind !== 'name') throw new Error(`"${token.text}" is out of place in: ${text}`);
    expect('(');
    const args: Node[] = [];
    while (tokens[at]?.text !== ')') {
      args.push(parseOne());
      if (tokens[at]?.text === ',') at += 1;
    }
    expect(')');
    return withMembers({ kind: 'call', name: token.text, args });
  }

  function withMembers(start: Node): Node {
    let target = start;
    for (;;) {
      const next = tokens[at]?.kind === 'mark' ? tokens[at]?.text : undefined;
      if (next === '.') {
        at += 1;
        const names = (tokens[at++]?.text ?? '').split('.');
        for (const value of names) {
          target = { kind: 'member', target, key: { kind: 'literal', value } };
        }
      } else if (next === '[') {
        at += 1;
        target = { kind: 'member', target, key: parseOne() };
        expect(']');
      } else {
        return target;
      }
    }
  }

  function expect(mark: string): void {
    if (tokens[at]?.text !== mark) throw new Error(`a "${mark}" is missing in: ${text}`);
    at += 1;
  }
}

interface Token {
  readonly kind: 'text' | 'number' | 'name' | 'mark';
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const from = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw new Error(`cannot read the expression at ${from}: ${text}`);
    const [, quoted, number, name, mark] = match;
    if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replaceAll("''", "'") });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else tokens.push({ kind: 'mark', text: mark ?? '' });
  }
  return tokens;
}
