/** What topologies are tested with: docs/TESTING-TOPOLOGIES.md. */
export {
  testTopology,
  WrongTest,
  type DeadEvent,
  type DeployOptions,
  type Instant,
  type RestartOptions,
  type SendOptions,
  type TableRow,
  type TestOptions,
  type TopologyTest,
} from './test-topology';
export type { LateEvent } from './watched-stage';
