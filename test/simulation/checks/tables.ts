import {
  copyTable,
  pairsTable,
  sourceStage,
  sourceTable,
  windowStage,
  windowTable,
  type Shape,
} from '../world/topology';
import { LakeModel } from './lake-model';

/** A table that some build has. */
export interface TableSeen {
  readonly stage: string;
  readonly lake: LakeModel;
  /** Whether a build has it. */
  readonly isOf: (shape: Shape) => boolean;
}

const orderColumns = ['id', 'customer', 'time', 'amount'];
const windowColumns = ['customer', 'minute', 'orders', 'total'];

export function tablesOf(): readonly TableSeen[] {
  const ofAll = (): boolean => true;
  const source = { stage: sourceStage, isOf: ofAll };
  const windows = { stage: windowStage, isOf: ofAll };
  return [
    { ...source, lake: new LakeModel(sourceTable, [...orderColumns, 'note']) },
    { ...windows, lake: new LakeModel(windowTable, windowColumns) },
    {
      ...source,
      lake: new LakeModel(copyTable, orderColumns),
      isOf: ({ isCopied }) => isCopied,
    },
    {
      ...windows,
      lake: new LakeModel(pairsTable, windowColumns),
      isOf: ({ isPaired }) => isPaired,
    },
  ];
}
