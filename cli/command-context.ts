import type { App } from './app';
import type { EngineLocation } from './engine';
import type { Output } from './output';
import type { Store } from './store';

/** What every command is given. */
export interface CommandContext {
  readonly app: App;
  readonly output: () => Output;
  readonly store: () => Store;
  readonly location: () => EngineLocation;
  /** Where the stack on this machine keeps everything. */
  readonly dataDirectory: () => string;
  readonly isJson: () => boolean;
}
