import type { LoadedApp } from './app-loader';
import { triggerOf } from './invoke';
import { resolveSettings } from './settings';

/** What an Event Hubs trigger of the app reads; settings in its names are resolved. */
export interface HubTrigger {
  readonly functionName: string;
  /** Name of the setting that holds the connection string. */
  readonly connection: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
}

/** The app's Event Hubs triggers, for whoever scales it. */
export function hubTriggersOf(
  app: LoadedApp,
  settings: Readonly<Record<string, string>>,
): HubTrigger[] {
  return app.functions.flatMap((target) => {
    const trigger = triggerOf(target);
    if (trigger?.type !== 'eventHubTrigger') return [];
    const setting = (name: string): string => {
      const value = trigger.options[name];
      return resolveSettings(typeof value === 'string' ? value : '', settings);
    };
    return [
      {
        functionName: target.name,
        connection: setting('connection'),
        eventHubName: setting('eventHubName'),
        consumerGroup: setting('consumerGroup') || '$Default',
      },
    ];
  });
}
