/** What topologies are written with. */
export {
  average,
  count,
  first,
  last,
  max,
  min,
  reduce,
  share,
  sum,
  type Aggregate,
} from '../operators/aggregates';
export { days, hours, milliseconds, minutes, seconds } from './duration';
export type { LatePolicy, Topology } from './graph';
export { Day, Nullable, Timestamp } from './schema';
export type {
  AggregatedStream,
  Identity,
  KeyByOptions,
  KeyedStream,
  LakeOptions,
  Stream,
  Updates,
  WindowOptions,
} from './stream';
export type { DeepReadonly, Update, WindowResult } from './value-types';
export type { Key } from '../model/key';
export { topology, type SourceOptions, type TopologyBuilder } from './topology';
export { tumbling } from './windows';
export type * from './contract';
