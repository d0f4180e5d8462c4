import { decodePath } from './http-message';

/** A route of an HTTP function: what it matches, and how closely. */
export interface Route {
  /** Parameters of a path that matches; null: it does not. */
  match(path: string): Readonly<Record<string, string>> | null;
  /** Smaller is closer: a path goes to the closest route that matches it. */
  readonly rank: string;
}

interface Parameter {
  readonly name: string;
  readonly isOptional: boolean;
  readonly isRest: boolean;
  readonly fallback: string | null;
  readonly accepts: readonly ((value: string) => boolean)[];
}

interface Segment {
  readonly shape: RegExp;
  readonly parameters: readonly Parameter[];
  readonly rank: string;
}

const numberText = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** Constraints of ASP.NET routes; `argument` is what stands in parentheses. */
const constraints: Record<string, (value: string, argument: string) => boolean> = {
  int: (value) =>
    /^[+-]?\d+$/.test(value) && Number(value) >= -(2 ** 31) && Number(value) < 2 ** 31,
  long: (value) => /^[+-]?\d+$/.test(value),
  bool: (value) => /^(?:true|false)$/i.test(value),
  alpha: (value) => /^[a-z]*$/i.test(value),
  guid: (value) => /^\{?[\da-f]{8}(?:-?[\da-f]{4}){3}-?[\da-f]{12}\}?$/i.test(value),
  decimal: (value) => numberText.test(value),
  double: (value) => numberText.test(value),
  float: (value) => numberText.test(value),
  datetime: (value) => !Number.isNaN(Date.parse(value)),
  required: (value) => value !== '',
  min: (value, argument) => Number(value) >= Number(argument),
  max: (value, argument) => Number(value) <= Number(argument),
  range: (value, argument) => {
    const [low = NaN, high = NaN] = argument.split(',').map(Number);
    return Number(value) >= low && Number(value) <= high;
  },
  minlength: (value, argument) => value.length >= Number(argument),
  maxlength: (value, argument) => value.length <= Number(argument),
  length: (value, argument) => {
    const [low = NaN, high = low] = argument.split(',').map(Number);
    return value.length >= low && value.length <= high;
  },
  regex: (value, argument) => new RegExp(argument, 'i').test(value),
};

/**
 * Reads an ASP.NET route template: `{x}`, `{x?}`, `{x=1}`, `{x:int}`, `{*rest}`, several in one
 * segment, literals in any case. Throws with the function named.
 */
export function parseRoute(functionName: string, parts: readonly string[]): Route {
  const template = parts
    .map((part) => part.replace(/^\/+|\/+$/g, ''))
    .filter(Boolean)
    .join('/');
  const wrong = (why: string): never => {
    throw new Error(`${functionName}: the route '${template}' ${why}`);
  };
  const segments =
    template === '' ? [] : splitSegments(template).map((text) => parseSegment(text, wrong));
  const names = segments.flatMap(({ parameters }) =>
    parameters.map(({ name }) => name.toLowerCase()),
  );
  if (new Set(names).size < names.length) wrong('names a parameter twice');
  segments.slice(0, -1).forEach(({ parameters }) => {
    if (parameters.some(({ isOptional, isRest }) => isOptional || isRest)) {
      wrong('may have {x?} and {*rest} only at its end');
    }
  });
  return {
    rank: segments.map(({ rank }) => rank).join(''),
    match: (path) => matchSegments(segments, path),
  };
}

/** Slashes inside braces belong to a constraint; so do braces that are doubled. */
function splitSegments(template: string): string[] {
  return template.match(/(?:\{(?:[^{}]|\{\{|\}\})*\}|[^/{])+/g) ?? [];
}

/** What a constraint may have in parentheses, which may hold others: it ends where the next part begins. */
const argumentShape = String.raw`\((?:[^{}]|\{\{|\}\})*?\)(?=[:=?}])`;
const parameterShape = new RegExp(
  String.raw`^\{(\*{0,2})(\w+)((?::\w+(?:${argumentShape})?)*)(?:=([^}?]*))?(\??)\}`,
);
const constraintShape = new RegExp(String.raw`:(\w+)(?:\(((?:[^{}]|\{\{|\}\})*?)\)(?=:|$))?`, 'g');

function parseSegment(text: string, wrong: (why: string) => never): Segment {
  const parameters: Parameter[] = [];
  let shape = '';
  let rest = text;
  while (rest !== '') {
    const found = parameterShape.exec(rest);
    if (found === null) {
      if (rest.startsWith('{') || rest.startsWith('}'))
        wrong(`has '${rest}', which is no parameter`);
      const literal = /^[^{}]+/.exec(rest)?.[0] ?? rest;
      shape += literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      rest = rest.slice(literal.length);
      continue;
    }
    const [whole, star = '', name = '', checks = '', fallback, optional] = found;
    const accepts = Array.from(checks.matchAll(constraintShape), (check) => {
      const [, kind = ''] = check;
      const argument = (check[2] ?? '').replaceAll('{{', '{').replaceAll('}}', '}');
      const accept = constraints[kind.toLowerCase()];
      if (accept === undefined)
        wrong(`has the constraint '${kind}', which this host does not know`);
      return (value: string) => accept?.(value, argument) ?? false;
    });
    parameters.push({
      ...{ name, accepts },
      isRest: star !== '',
      isOptional: optional === '?' || fallback !== undefined,
      fallback: fallback ?? null,
    });
    // As ASP.NET: of several in one segment the last takes the least, and may be left out with its dot.
    const isLeftOut = optional === '?' && shape.endsWith('\\.');
    shape = isLeftOut
      ? `${shape.slice(0, -2).replace(/\(\.\+\)$/, '(.+?)')}(?:\\.([^.]+))?`
      : `${shape}(.+)`;
    rest = rest.slice(whole.length);
  }
  return { shape: new RegExp(`^${shape}$`, 'i'), parameters, rank: rankOf(text, parameters) };
}

/** As ASP.NET orders routes: literals, then bound parameters, then any, then the rest of the path. */
function rankOf(text: string, parameters: readonly Parameter[]): string {
  const [first] = parameters;
  if (first === undefined) return '1';
  const bound = first.accepts.length > 0 ? 0 : 1;
  if (first.isRest) return String(5 + bound);
  const isWhole = parameters.length === 1 && text.startsWith('{') && text.endsWith('}');
  return isWhole ? String(3 + bound) : '2';
}

function matchSegments(
  segments: readonly Segment[],
  path: string,
): Readonly<Record<string, string>> | null {
  // One slash at either end separates nothing; a further one is an empty part, which no template has.
  const trimmed = path.replace(/^\/|\/$/g, '');
  const given = trimmed === '' ? [] : trimmed.split('/');
  const values: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const [first] = segment.parameters;
    if (first?.isRest === true) {
      const rest = decodePath(given.slice(index).join('/'));
      if (rest !== '' && !first.accepts.every((accepts) => accepts(rest))) return null;
      if (rest !== '') values[first.name] = rest;
      return values;
    }
    const text = given[index];
    if (text === undefined) {
      if (segment.parameters.length !== 1 || first?.isOptional !== true) return null;
      if (first.fallback !== null) values[first.name] = first.fallback;
      continue;
    }
    const found = segment.shape.exec(decodePath(text));
    if (found === null) return null;
    for (const [place, { accepts, name }] of segment.parameters.entries()) {
      const value = found[place + 1];
      if (value === undefined) continue;
      if (!accepts.every((accept) => accept(value))) return null;
      values[name] = value;
    }
  }
  return given.length <= segments.length ? values : null;
}
