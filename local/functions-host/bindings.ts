import type { LoadedApp, RegisteredFunction } from './app-loader';
import { triggerOf } from './invoke';
import { parseRoute } from './route-template';
import { parseSchedule } from './schedule';
import { resolveSettings, settingOf } from './settings';

type Settings = Readonly<Record<string, string>>;
type Options = Readonly<Record<string, unknown>>;

/** Output bindings that this host writes; inputs that others provide. */
const outputTypes = ['http', 'eventhub', 'blob'];
const inputTypes = ['durableclient'];
const storageDefault = 'AzureWebJobsStorage';

/** Reads a binding's options, settings in them resolved. */
export function settingsOf(
  target: RegisteredFunction,
  options: Options,
  settings: Settings,
): { readonly setting: (name: string) => string } {
  return {
    setting: (name) => {
      const value = options[name];
      return resolveSettings(typeof value === 'string' ? value : '', settings, (missing) => {
        throw new Error(`${target.name}: ${missingSetting(`${name} '${String(value)}'`, missing)}`);
      });
    },
  };
}

/**
 * The connection string behind a binding's `connection`, where .NET's configuration looks for it: among
 * ConnectionStrings and settings, with `AzureWebJobs` before its name and without. Throws with
 * setting and function named.
 */
export function connectionOf(
  target: RegisteredFunction,
  options: Options,
  settings: Settings,
): string {
  const name = settingsOf(target, options, settings).setting('connection') || storageDefault;
  const places = [`AzureWebJobs${name}`, name].flatMap((one) => [
    `ConnectionStrings:${one}`,
    `CUSTOMCONNSTR_${one}`,
    one,
  ]);
  for (const place of places) {
    const value = settingOf(settings, place);
    if (value !== undefined && value !== '') return value;
  }
  const identity = settingOf(settings, `${name}__fullyQualifiedNamespace`);
  throw new Error(
    identity === undefined
      ? `${target.name}: the setting ${name} (the connection of its ${String(options['type'] ?? 'storage')} binding) is missing: add it to Values of local.settings.json`
      : `${target.name}: ${name}__fullyQualifiedNamespace asks for a managed identity, which this machine has not: set ${name} to a connection string`,
  );
}

/** What the app's bindings ask for and this host cannot give. */
export interface BindingFindings {
  /** The app must not start. */
  readonly faults: readonly string[];
  /** It starts, and a function that comes to such a binding fails. */
  readonly warnings: readonly string[];
}

/** Looks at every binding of every function before anything starts, so that all faults come together. */
export function checkBindings(
  app: LoadedApp,
  settings: Settings,
  routePrefix: string,
): BindingFindings {
  const faults: string[] = [];
  const warnings: string[] = [];
  warnings.push(...twinsAmong(app.functions));
  for (const target of app.functions) {
    const attempt = (check: () => unknown): void => {
      try {
        check();
      } catch (error) {
        faults.push((error as Error).message);
      }
    };
    for (const [name, binding] of Object.entries(target.bindings)) {
      const unresolved = unresolvedIn(binding, settings);
      faults.push(...unresolved.map((fault) => `${target.name}: ${fault}`));
      if (unresolved.length > 0) continue;
      const type = binding.type.toLowerCase();
      if (type === 'eventhubtrigger' || type === 'eventhub' || type === 'blob') {
        attempt(() => connectionOf(target, binding, settings));
      }
      if (!/trigger$/.test(type) && !isProvided(type, binding['direction'])) {
        warnings.push(
          `${target.name}: this host has no ${String(binding['direction'])}put binding of type ${binding.type} (${name}): an invocation that needs it fails`,
        );
      }
    }
    const trigger = triggerOf(target);
    const { setting } = settingsOf(target, trigger?.options ?? {}, settings);
    if (trigger === null) faults.push(`${target.name}: has no trigger`);
    if (trigger?.type === 'httpTrigger') {
      attempt(() => parseRoute(target.name, [routePrefix, setting('route') || target.name]));
    }
    if (trigger?.type === 'timerTrigger' && unresolvedIn(trigger.options, settings).length === 0) {
      attempt(() => parseSchedule(target.name, setting('schedule'), settings));
    }
  }
  return { faults, warnings };
}

/** The platform finds functions by their names in any case: of two twins it takes either. */
function twinsAmong(functions: readonly RegisteredFunction[]): string[] {
  const known = new Map<string, string>();
  return functions.flatMap(({ name }) => {
    const twin = known.get(name.toLowerCase());
    known.set(name.toLowerCase(), name);
    return twin === undefined
      ? []
      : [`${name}: its name differs from that of ${twin} in case alone: give it another`];
  });
}

export function isProvided(type: string, direction: unknown): boolean {
  return (direction === 'out' ? outputTypes : inputTypes).includes(type.toLowerCase());
}

function unresolvedIn(binding: Options, settings: Settings): string[] {
  return Object.entries(binding).flatMap(([name, value]) => {
    const missing: string[] = [];
    if (typeof value !== 'string' || name === 'name' || name === 'type') return [];
    resolveSettings(value, settings, (setting) => void missing.push(setting));
    return missing.map((setting) => missingSetting(`${name} '${value}'`, setting));
  });
}

function missingSetting(what: string, setting: string): string {
  return `${what} does not resolve: the setting ${setting} is missing (Values of local.settings.json)`;
}
