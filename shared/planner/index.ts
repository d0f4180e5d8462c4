export { emulatorConfig, explain } from './explain';
export { defaultPartitionCount, plan, planTopology, type HubPlan, type Plan } from './plan';
export { functionNotes, planDocument } from './plan-document';
