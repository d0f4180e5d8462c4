import type { RegisteredFunction } from './app-loader';
import { triggerOf } from './invoke';
import { resolveSettings, settingOf } from './settings';

/** What the host makes of a function that the app registered. */
export interface FunctionChoice {
  /** What is loaded. */
  readonly functions: readonly RegisteredFunction[];
  /** Those of them that nothing triggers, by name. */
  readonly disabled: ReadonlySet<string>;
  /** Why others are left out. */
  readonly refused: readonly string[];
}

/** The platform's rule for names (Utility.FunctionNameValidationRegex). */
const nameShape = /^(?!host$)[a-z][a-z0-9_-]{0,127}$/i;

/**
 * Chooses as the platform does: a function with a name that is none, or a route that the host or another
 * function has, is an error and left out; so are, without an error, those that host.json's `functions` does not list. One that a setting
 * `AzureWebJobs.<name>.Disabled` names is loaded, and nothing triggers it.
 */
export function chooseFunctions(
  registered: readonly RegisteredFunction[],
  listed: readonly string[] | null,
  settings: Readonly<Record<string, string>>,
): FunctionChoice {
  const wanted = listed?.map((name) => name.toLowerCase());
  const inList = registered.filter(({ name }) => wanted?.includes(name.toLowerCase()) ?? true);
  const refused: string[] = [];
  const taken: HttpRoute[] = [];
  const functions = inList.filter((target) => {
    const reason = nameFault(target.name) ?? routeFault(target, taken, settings);
    if (reason !== null) refused.push(`${target.name}: ${reason}: the function is not run`);
    return reason === null;
  });
  return {
    functions,
    disabled: new Set(
      functions.map(({ name }) => name).filter((name) => isDisabled(name, settings)),
    ),
    refused,
  };
}

function nameFault(name: string): string | null {
  return nameShape.test(name)
    ? null
    : `'${name}' is not a valid function name, which begins with a letter, has up to 128 letters, digits, - and _, and is not host`;
}

interface HttpRoute {
  readonly functionName: string;
  readonly path: string;
  /** None: all. */
  readonly methods: readonly string[];
}

/** As ScriptHost.ValidateFunction: routes of the host itself, and those that another function has. */
function routeFault(
  target: RegisteredFunction,
  taken: HttpRoute[],
  settings: Readonly<Record<string, string>>,
): string | null {
  const trigger = triggerOf(target);
  if (trigger?.type !== 'httpTrigger') return null;
  const { methods = ['GET', 'POST'], route } = trigger.options as {
    readonly methods?: readonly string[];
    readonly route?: string;
  };
  const path = resolveSettings(route ?? '', settings, () => undefined).replace(/^\/+|\/+$/g, '');
  const mine = {
    functionName: target.name,
    path: (path || target.name).toLowerCase(),
    methods: methods.map((method) => method.toUpperCase()),
  };
  if (/^(?:admin|runtime)/.test(mine.path)) {
    return `the route '${mine.path}' conflicts with those of the host, which begin with admin and runtime`;
  }
  const other = taken.find((one) => areInConflict(one, mine));
  if (other !== undefined) {
    return `the route '${mine.path}' conflicts with that of the function '${other.functionName}'`;
  }
  taken.push(mine);
  return null;
}

function areInConflict(left: HttpRoute, right: HttpRoute): boolean {
  if (left.path !== right.path) return false;
  if (left.methods.length === 0 || right.methods.length === 0) return true;
  return left.methods.some((method) => right.methods.includes(method));
}

function isDisabled(name: string, settings: Readonly<Record<string, string>>): boolean {
  return [`AzureWebJobs.${name}.Disabled`, `AzureWebJobs_${name}_Disabled`].some((setting) =>
    /^(?:1|true)$/i.test(settingOf(settings, setting) ?? ''),
  );
}
