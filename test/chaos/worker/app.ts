/** The topologies as the workers of a chaos run load them: with what lets faults into the process. */
import './harness';

export { topologies } from '../all-topologies';
