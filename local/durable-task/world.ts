import type { Message } from './history-event';
import type { StoredMessage } from './inbox-store';
import type { DurableFunctions } from './replay';
import type { TaskHubStore } from './store';
import type { WorkerPool } from './worker-pool';

/** What running an instance needs of the hub. */
export interface HubWorld {
  readonly store: TaskHubStore;
  readonly pool: WorkerPool;
  readonly functions: () => DurableFunctions;
  /** False: another host runs this instance. */
  readonly isOwn: (instanceId: string) => boolean;
  /** Brings a message to its instance, wherever that runs. */
  readonly deliver: (message: Message) => Promise<void>;
  readonly log: (level: string, message: string) => void;
  /** Reached at every named point of an episode: tests end the process there. */
  readonly point: (name: string) => void;
}

/** A message that waits for its instance; `stored`: its row, null when it has none. */
export interface Waiting {
  readonly message: Message;
  readonly stored: StoredMessage | null;
}
