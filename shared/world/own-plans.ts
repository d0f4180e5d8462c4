import type { Topology } from '../dataflow/graph';
import { planHash } from '../model/plan-document';
import type { BuildIdentity } from '../model/topology-plan';
import { knownToLogs, newestVersionOf } from '../operations/decisions/known-to-logs';
import { countOpen } from '../operations/decisions/open-state';
import { PlanAdoption } from '../operations/decisions/plan-adoption';
import type { OwnPlan } from '../operations/decisions/plan-store';
import { planDocument } from '../planner';
import type { SurveyedStage } from '../supervision/survey/surveyor';
import type { DeliveryServices } from '../task/delivery';

/** What this code would do with its topologies, as far as it can be written down. */
export function ownPlans(
  topologies: readonly Topology[],
  stages: readonly Pick<SurveyedStage, 'plan'>[],
): readonly OwnPlan[] {
  return topologies.map((topology) => {
    const document = planDocument(topology);
    return {
      ...{ topology: topology.name, hash: planHash(document), document },
      stages: stages.map(({ plan }) => plan).filter((plan) => plan.topology === topology.name),
    };
  });
}

/** Adopts plans in the world that a process works in. */
export function planAdoption(
  services: DeliveryServices,
  own: {
    readonly build: BuildIdentity;
    readonly plans: readonly OwnPlan[];
    readonly mayMove: boolean;
  },
): PlanAdoption {
  return new PlanAdoption({
    ...{ services, ...own },
    countOpen: (entry, question) => countOpen(services, entry, question),
    logs: {
      newestVersion: (topology) => newestVersionOf(services.appends, topology),
      known: (topology) => knownToLogs(services.appends, topology),
    },
  });
}
