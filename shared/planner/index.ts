export { emulatorConfig, explain } from './explain';
export { plan, planTopology, type Plan } from './plan';
export { fitTo, tierNames, type TierName } from './tiers';
export { functionNotes, planDocument } from './plan-document';
