import { compileStage } from '../../../shared/execution';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import type { TablePlan } from '../../../shared/model/table';
import type { OwnPlan } from '../../../shared/operations/decisions/plan-store';
import { plan } from '../../../shared/planner';
import type { CompiledStage } from '../../../shared/task/services';
import { ownPlans } from '../../../shared/world/own-plans';
import type { FaultKind } from './faults';
import type { Random } from './random';
import { plainShape, topologyOf, type Shape, type SourceTime } from './topology';

/** What workers are started with: one of the builds that a run has at once, as in a rolling deploy. */
export interface SimulatedBuild {
  readonly identity: BuildIdentity;
  readonly shape: Shape;
  readonly stages: readonly CompiledStage[];
  readonly own: OwnPlan;
}

/** What each kind of change makes of a topology. */
const changes = {
  'build-same': { isReordered: true, surcharge: 1_000 },
  'build-operator': { isFiltered: true },
  'build-sink': { isCopied: true },
  'build-column': { isNoted: true },
  'build-field': { hasField: true },
  'build-window': { isPaired: true },
  'build-undecided': { isWidened: true },
} as const satisfies Partial<Record<FaultKind, Partial<Shape>>>;

export type ChangeKind = keyof typeof changes;

const changeKinds = Object.keys(changes) as ChangeKind[];

/** The kinds of change that lie between two shapes. */
export function changesBetween(before: Shape, after: Shape): ChangeKind[] {
  return changeKinds.filter((kind) =>
    Object.keys(changes[kind]).some((part) => {
      const name = part as keyof Shape;
      return before[name] !== after[name];
    }),
  );
}

const builtAtMs = Date.UTC(2026, 4, 1);

/** The builds of a run, oldest first: one; one that can take turns with it; one that somebody has to decide for. */
export function buildsOf(
  random: Random,
  kinds: ReadonlySet<FaultKind>,
  run: { readonly time: SourceTime; readonly flush: TablePlan['flush'] },
): readonly SimulatedBuild[] {
  const compatible = changeKinds.filter((kind) => kinds.has(kind) && kind !== 'build-undecided');
  // A version begins under another plan, and what is rolled back is a newer build.
  const needsOther = kinds.has('version-new') || kinds.has('version-rolled-back');
  const isUndecided =
    kinds.has('build-undecided') || (needsOther && (compatible.length === 0 || random.chance(0.5)));
  const shapes: Shape[] = [plainShape];
  if (compatible.length > 0) {
    shapes.push(Object.assign({}, plainShape, ...compatible.map((kind) => changes[kind])) as Shape);
  }
  if (isUndecided) {
    shapes.push({ ...random.pick(shapes), ...changes['build-undecided'] });
  }
  return shapes.map((shape, age) => buildOf(shape, { ...run, age }));
}

const compiled = new Map<string, Pick<SimulatedBuild, 'stages' | 'own'>>();

function buildOf(
  shape: Shape,
  { age, flush, time }: { age: number; time: SourceTime; flush: TablePlan['flush'] },
): SimulatedBuild {
  const name = JSON.stringify([shape, time]);
  let code = compiled.get(name);
  if (code === undefined) {
    const topologies = [topologyOf(time, shape)];
    const stages = plan(topologies).stages.map((stage) => compileStage(stage, topologies));
    const [own] = ownPlans(topologies, stages);
    if (own === undefined) throw new Error('a build without a topology');
    compiled.set(name, (code = { stages, own }));
  }
  const withFlush = <Plan extends { readonly tables: readonly TablePlan[] }>(
    stage: Plan,
  ): Plan => ({
    ...stage,
    tables: stage.tables.map((table) => ({ ...table, flush })),
  });
  return {
    identity: { id: `build-${age + 1}`, builtAtMs: builtAtMs + age },
    shape,
    stages: code.stages.map((stage) => ({ ...stage, plan: withFlush(stage.plan) })),
    own: { ...code.own, stages: code.own.stages.map(withFlush) },
  };
}
