import type { app } from '@azure/functions';

/** What the engine registers with: the `app` of `@azure/functions`. */
export type FunctionApp = typeof app;
