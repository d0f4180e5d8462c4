import type { ObjectStore } from '../../../model/ports';
import type { StagePlan } from '../../../model/program';
import type { TablePlan } from '../../../model/table';
import { PlanStore } from '../../decisions/plan-store';

/** What an audit has to know of a stage, as a version of its topology had it. Plain JSON. */
export type AuditedStage = Pick<StagePlan, 'name' | 'input' | 'tables'>;

/**
 * The stages that a topology has and had, in the order in which events go through them: logs of a former version,
 * or of a stage that was taken out, are recounted as they were written.
 */
export class AuditPlans {
  readonly #own: readonly StagePlan[];
  readonly #former: ReadonlyMap<string, readonly AuditedStage[]>;

  private constructor(
    own: readonly StagePlan[],
    former: ReadonlyMap<string, readonly AuditedStage[]>,
  ) {
    this.#own = own;
    this.#former = former;
  }

  /** @param own the stages of that topology in this build */
  static async read(
    objects: ObjectStore,
    topology: string,
    own: readonly StagePlan[],
  ): Promise<AuditPlans> {
    const former = new Map<string, AuditedStage[]>();
    for (const { stages, version } of await new PlanStore(objects).history(topology)) {
      // Of what several plans of a version had the last one counts; what only an earlier one had is there, too.
      former.set(version, merged(stages, former.get(version) ?? []));
    }
    return new AuditPlans(own, former);
  }

  stagesOf(version: string): readonly AuditedStage[] {
    return merged(this.#former.get(version) ?? [], this.#own);
  }

  /** All tables that any version writes or wrote to; of one name the newest counts. */
  tables(): readonly TablePlan[] {
    const former = Array.from(this.#former.values()).reverse();
    const all = [this.#own, ...former].flatMap((stages) => stages.flatMap(({ tables }) => tables));
    return byName(all);
  }
}

function merged(first: readonly AuditedStage[], then: readonly AuditedStage[]): AuditedStage[] {
  const stages = first.map((stage) => {
    const other = then.find(({ name }) => name === stage.name);
    return { ...stage, tables: byName([...stage.tables, ...(other?.tables ?? [])]) };
  });
  return byName([...stages, ...then]).map(({ input, name, tables }) => ({ name, input, tables }));
}

function byName<Named extends { readonly name: string }>(all: readonly Named[]): Named[] {
  const known = new Map<string, Named>();
  for (const one of all) if (!known.has(one.name)) known.set(one.name, one);
  return Array.from(known.values());
}
