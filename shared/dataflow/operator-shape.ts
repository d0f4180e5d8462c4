import type { AppliedOperator, OperatorShape, OperatorSpec, Port } from '../operators/contract';
import { storeKinds } from '../state/operations';

const storeName = /^[A-Za-z0-9_-]{1,100}$/;
const timerKinds: readonly unknown[] = ['none', 'event'];

/**
 * What an operator's shape has wrong, found while the topology is defined: found when a task is opened it
 * would stop that task.
 */
export function* shapeFaults(operator: Partial<AppliedOperator> | undefined): Generator<string> {
  const spec = operator?.spec as Partial<OperatorSpec<unknown>> | undefined;
  const config = operator?.config;
  const kind = spec?.kind;
  if (spec === undefined || typeof kind !== 'string' || kind === '') {
    yield 'apply needs an operator: a specification with a kind, or what a function made of one';
    return;
  }
  const says = (fault: string): string => `operator ${kind}: ${fault}`;
  if (!Number.isSafeInteger(spec.stateVersion) || Number(spec.stateVersion) < 1) {
    yield says('its stateVersion must be a whole number from 1');
  }
  const { describe, open, shape: shapeOf } = spec;
  for (const [name, part] of Object.entries({ describe, open, shape: shapeOf })) {
    if (typeof part !== 'function') yield says(`it has no function ${name}`);
  }
  if (typeof shapeOf !== 'function') return;
  let shape: OperatorShape;
  try {
    shape = shapeOf(config);
  } catch (error) {
    yield says(
      `its shape cannot be told: ${error instanceof Error ? error.message : String(error)}`,
    );
    return;
  }
  yield* faultsOf(shape, says);
}

function* faultsOf(shape: OperatorShape, says: (fault: string) => string): Generator<string> {
  for (const part of ['inputs', 'outputs', 'stores'] as const) {
    if (!Array.isArray(shape?.[part])) {
      yield says(`its shape must list its ${part}`);
      return;
    }
    const twice = firstTwice(shape[part].map(({ name }: Pick<Port, 'name'>) => name));
    if (twice !== null) yield says(`two ${part} are called ${twice}`);
  }
  if (shape.inputs.length === 0) yield says('it has no input');
  if (!timerKinds.includes(shape.timers)) {
    yield says(`its timers must be 'none' or 'event', not ${JSON.stringify(shape.timers)}`);
  }
  for (const { kind, name, timeToLiveMs } of shape.stores) {
    if (typeof name !== 'string' || !storeName.test(name)) {
      yield says(`store ${JSON.stringify(name)}: use 1 to 100 of A-Z, a-z, 0-9, _ and -`);
    }
    if (!storeKinds.slice(0, 3).includes(kind)) {
      yield says(
        `store ${name}: its kind must be 'value', 'map' or 'list', not ${JSON.stringify(kind)}`,
      );
    }
    if (timeToLiveMs !== undefined && !(Number.isSafeInteger(timeToLiveMs) && timeToLiveMs > 0)) {
      yield says(`store ${name}: its timeToLiveMs must be a whole number from 1`);
    }
  }
}

function firstTwice(names: readonly string[]): string | null {
  return names.find((name, index) => names.indexOf(name) !== index) ?? null;
}
