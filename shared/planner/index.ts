export { emulatorConfig, explain } from './explain';
export { defaultPartitionCount, plan, planTopology, type HubPlan, type Plan } from './plan';
export { fitTo, tierNames, type Fit, type TierName } from './tiers';
export { functionNotes, planDocument } from './plan-document';
