import type { LoadedApp } from './app-loader';

interface LogEntry {
  readonly level: string;
  /** `user` or `system`: hooks may change only what the user said. */
  readonly kind: string;
  readonly message: string;
  readonly invocationContext?: unknown;
  readonly hookData: Record<string, unknown>;
}

/** Runs the app's `log` hooks, synchronously, and then writes the entry as they left it. */
export function logThroughHooks(
  app: Pick<LoadedApp, 'hooks' | 'appHookData'>,
  entry: LogEntry,
  write: (entry: { readonly level: string; readonly message: string }) => void,
): void {
  const hooks = app.hooks.get('log') ?? [];
  if (hooks.length === 0) {
    write(entry);
    return;
  }
  const context: Record<string, unknown> = {
    level: entry.level,
    message: entry.message,
    category: entry.kind,
    invocationContext: entry.invocationContext,
    hookData: entry.hookData,
    appHookData: app.appHookData,
  };
  for (const hook of hooks) hook(context);
  if (entry.kind === 'user') {
    write({ level: String(context['level']), message: String(context['message']) });
  } else {
    write(entry);
  }
}
