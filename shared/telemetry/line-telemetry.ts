import type { Clock, Telemetry } from '../model/ports';

const levels = ['info', 'warn', 'error'] as const;
export type Level = (typeof levels)[number];

/** Telemetry as one JSON line an event: what `func start`, Azure and our local host all collect. */
export function lineTelemetry(options: {
  readonly write: (level: Level, line: string) => void;
  readonly clock: Clock;
  readonly minimumLevel: Level;
}): Telemetry {
  const minimum = levels.indexOf(options.minimumLevel);
  return {
    emit: (level, event, fields) => {
      if (levels.indexOf(level) < minimum) return;
      const at = new Date(options.clock.nowMs()).toISOString();
      options.write(level, JSON.stringify({ at, level, event, ...fields }));
    },
  };
}
