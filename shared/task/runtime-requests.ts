import type { HubMessage } from '../model/ports';
import type { BatchReport } from './task';
import type { TendRequest } from './upkeep';

export interface BatchRequest {
  readonly functionName: string;
  readonly partition: string;
  readonly messages: readonly HubMessage[];
  readonly deadlineMs: number;
}

export interface TendTaskRequest extends Omit<TendRequest, 'isDraining'> {
  readonly functionName: string;
  readonly partition: string;
}

export interface TendTaskReport {
  /** The task's last commit, and how many commits and events this call saw come. */
  readonly commit: number;
  readonly commits: number;
  readonly events: number;
  readonly isOutboxSent: boolean;
  /** Another process is committing to the task: it was left alone. */
  readonly isElsewhere: boolean;
  readonly nextSequenceNumber: number;
}

/** The task is in other hands. */
export const elsewhere: TendTaskReport = {
  ...{ commit: 0, commits: 0, events: 0, nextSequenceNumber: 0 },
  ...{ isOutboxSent: false, isElsewhere: true },
};

export function nothingCommitted({ messages }: BatchRequest): BatchReport {
  const isComplete = messages.length === 0;
  return { committedEvents: 0, commits: 0, duplicateMessages: 0, isComplete };
}
