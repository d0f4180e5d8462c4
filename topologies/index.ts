/** The topologies that the app runs: add yours to the list. */
import { flights } from './flights';

export const topologies = [flights];
