// Goal: whatever goes wrong, every invariant of checks/invariants.ts holds at every step.
// Method: the real engine under a scheduler that decides every interleaving from a seed.
import { describeSeeds } from './run-seeds';

describeSeeds(1);
