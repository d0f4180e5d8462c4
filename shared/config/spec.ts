import { StreamError } from '../model/errors';

/** One setting: everything that parses it, documents it and deploys it reads this. */
export interface Setting<Value> {
  readonly environment: string;
  readonly description: string;
  readonly parse: (text: string | undefined) => Value | Fault;
}

export interface Fault {
  readonly fault: string;
}

export function text(options: {
  environment: string;
  description: string;
  default: string;
}): Setting<string> {
  return { ...options, parse: (value) => value ?? options.default };
}

export function optionalText(options: {
  environment: string;
  description: string;
}): Setting<string | null> {
  return { ...options, parse: (value) => (value === undefined || value === '' ? null : value) };
}

/** One of a few words. */
export function choice<const Word extends string>(options: {
  environment: string;
  description: string;
  words: readonly Word[];
  default: NoInfer<Word>;
}): Setting<Word> {
  const { words } = options;
  return {
    environment: options.environment,
    description: `${options.description} (${words.join(' or ')}, default ${options.default})`,
    parse: (value) => {
      if (value === undefined || value === '') return options.default;
      const word = words.find((candidate) => candidate === value);
      return word ?? { fault: `must be ${words.join(' or ')}, is "${value}"` };
    },
  };
}

export function integer(options: {
  environment: string;
  description: string;
  minimum: number;
  maximum: number;
  default: number;
}): Setting<number> {
  const { minimum, maximum } = options;
  return {
    ...options,
    description: `${options.description} (${minimum} to ${maximum}, default ${options.default})`,
    parse: (value) => {
      if (value === undefined || value === '') return options.default;
      const number = Number(value);
      if (Number.isInteger(number) && number >= minimum && number <= maximum) return number;
      return { fault: `must be a whole number from ${minimum} to ${maximum}, is "${value}"` };
    },
  };
}

type Settings = Readonly<Record<string, Setting<unknown>>>;
export type Compiled<Spec extends Settings> = {
  readonly [Name in keyof Spec]: Exclude<ReturnType<Spec[Name]['parse']>, Fault>;
};

/** Compiles all settings at once; rejects with every fault in one STREAM_CONFIGURATION_INVALID. */
export function compileSettings<Spec extends Settings>(
  spec: Spec,
  environment: Readonly<Record<string, string | undefined>>,
): Compiled<Spec> {
  const faults: string[] = [];
  const compiled: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(spec)) {
    const value = setting.parse(environment[setting.environment]);
    if (isFault(value)) faults.push(`${setting.environment} ${value.fault}`);
    else compiled[name] = value;
  }
  if (faults.length > 0) {
    throw new StreamError(
      'STREAM_CONFIGURATION_INVALID',
      `${faults.join('; ')}. Set them in local.settings.json (Values) or in the app's settings`,
    );
  }
  return compiled as Compiled<Spec>;
}

function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && 'fault' in value;
}
