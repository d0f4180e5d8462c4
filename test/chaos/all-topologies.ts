/** What a chaos run runs: every topology that is shipped, and the tests' own with its bad orders. */
import { hours } from '../../shared/dataflow';
import { topologies as shipped } from '../../topologies';
import { ordersTopology } from '../fixtures/topologies/orders';

/** Clocks are set five minutes wrong and hubs stand still: windows must wait longer than that. */
const graceMs = hours(6);

export const topologies = [...shipped, ordersTopology(graceMs)];
