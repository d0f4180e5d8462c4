import type { Argument, Json } from './arm-expression';

type ArmFunction = (args: readonly Argument[]) => Json;
type Fields = Readonly<Record<string, Json>>;

const all = (args: readonly Argument[]): Json[] => args.map((arg) => arg.value());
const isEmpty = (value: Json): boolean =>
  value === null || value === '' || Object.keys(value as Fields).length === 0;
const merge = (parts: readonly Json[]): Json => Object.assign({}, ...parts) as Json;
const ofItem =
  (lambda: Argument | undefined) =>
  (item: Json): Json =>
    lambda?.value({ [lambda.itemName ?? '']: item }) ?? null;
const asArray = (value: Json | undefined): readonly Json[] => {
  if (!Array.isArray(value)) throw new Error(`must be an array: ${JSON.stringify(value)}`);
  return value as readonly Json[];
};

/** Those template functions that mean the same everywhere. Hashes are readable here, not hashed. */
export const pureFunctions: Readonly<Record<string, ArmFunction>> = {
  true: () => true,
  false: () => false,
  null: () => null,
  json: (args) => JSON.parse(String(args[0]?.value())) as Json,
  if: ([condition, yes, no]) => (condition?.value() === true ? yes : no)?.value() ?? null,
  and: (args) => args.every((arg) => arg.value() === true),
  or: (args) => args.some((arg) => arg.value() === true),
  not: ([arg]) => arg?.value() !== true,
  equals: ([left, right]) => JSON.stringify(left?.value()) === JSON.stringify(right?.value()),
  greater: ([left, right]) => Number(left?.value()) > Number(right?.value()),
  mul: ([left, right]) => Number(left?.value()) * Number(right?.value()),
  // Whole numbers.
  div: ([left, right]) => Math.trunc(Number(left?.value()) / Number(right?.value())),
  empty: ([arg]) => isEmpty(arg?.value() ?? null),
  length: ([arg]) => {
    const value = arg?.value();
    return typeof value === 'string' ? value.length : Object.keys(value as Fields).length;
  },
  toLower: ([arg]) => String(arg?.value()).toLowerCase(),
  padLeft: (args) => {
    const [text, length, filler] = all(args);
    return String(text).padStart(Number(length), String(filler));
  },
  string: ([arg]) => String(arg?.value()),
  split: ([text, mark]) => String(text?.value()).split(String(mark?.value())),
  indexOf: ([list, item]) => asArray(list?.value()).indexOf(item?.value() ?? null),
  createArray: all,
  createObject: (args) => {
    const values = all(args);
    const entries = values.flatMap((key, index) =>
      index % 2 === 0 ? [[String(key), values[index + 1] as Json] as const] : [],
    );
    return Object.fromEntries(entries);
  },
  concat: (args) => {
    const values = all(args);
    return values.every(Array.isArray) ? values.flat() : values.map(String).join('');
  },
  union: (args) => merge(all(args)),
  shallowMerge: ([parts]) => merge(asArray(parts?.value())),
  items: ([object]) =>
    Object.entries(object?.value() as Fields)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, value]) => ({ key, value })),
  map: ([list, each]) => asArray(list?.value()).map(ofItem(each)),
  filter: ([list, each]) => asArray(list?.value()).filter((item) => ofItem(each)(item) === true),
  toObject: ([list, key, value]) =>
    Object.fromEntries(
      asArray(list?.value()).map((item) => [String(ofItem(key)(item)), ofItem(value)(item)]),
    ),
  trim: ([text]) => String(text?.value()).trim(),
  int: ([text]) => {
    const number = Number(text?.value());
    if (Number.isInteger(number)) return number;
    throw new Error(`not a whole number: ${String(text?.value())}`);
  },
  add: ([left, right]) => Number(left?.value()) + Number(right?.value()),
  substring: (args) => {
    const [text, from] = all(args);
    if (Number(from) <= String(text).length) return String(text).slice(Number(from));
    throw new Error(`the text "${String(text)}" has no character ${String(from)}`);
  },
  format: (args) => {
    const [pattern, ...values] = all(args);
    return String(pattern).replace(/\{(\d+)\}/g, (_, index) => String(values[Number(index)]));
  },
  uniqueString: (args) => `unique(${all(args).join('|')})`,
  guid: (args) => `guid(${all(args).join('|')})`,
  resourceId: (args) => resourceId(all(args).map(String)),
  subscriptionResourceId: (args) => `/subscriptions/s${resourceId(all(args).map(String), '')}`,
  subscription: () => ({ id: '/subscriptions/s', subscriptionId: 's' }),
  resourceGroup: () => ({ id: groupId, name: 'g', location: 'somewhere' }),
  deployment: () => ({ name: 'deployment' }),
  environment: () => ({ suffixes: { storage: 'core.windows.net' } }),
};

const groupId = '/subscriptions/s/resourceGroups/g';

/** `resourceId('Microsoft.X/a/b', 'one', 'two')` as an id in the one resource group. */
export function resourceId([type = '', ...names]: readonly string[], scope = groupId): string {
  const [provider, ...types] = type.split('/');
  const path = types.map((part, index) => `${part}/${names[index]}`).join('/');
  return `${scope}/providers/${provider}/${path}`;
}
