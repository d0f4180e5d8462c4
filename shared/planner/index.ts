export { emulatorConfig, explain } from './explain';
export { defaultPartitionCount, plan, planTopology, type HubPlan, type Plan } from './plan';
export { planDocument } from './plan-document';
