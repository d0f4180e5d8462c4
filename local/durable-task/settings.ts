import { cpus } from 'node:os';
import type { SettingReader } from '../settings/setting-reader';

/** host.json's `extensions.durableTask`, as far as this host acts on it. */
export interface DurableSettings {
  readonly hubName: string;
  readonly maxConcurrentActivityFunctions: number;
  readonly maxConcurrentOrchestratorFunctions: number;
  readonly maxConcurrentEntityFunctions: number;
  /** Said once at the start: what is written there and has no effect here. */
  readonly notes: readonly string[];
}

/** Tables and containers are named after the hub: letters and digits, a letter first. */
const hubNamePattern = /^[A-Za-z][A-Za-z0-9]{2,44}$/;

/** The real host's defaults, for one worker as one instance. */
export function readDurableSettings(section: SettingReader): DurableSettings {
  const limit = (name: string): number =>
    section.whole(name, { min: 1, fallback: 10 * cpus().length });
  const hubName = section.text('hubName', 'TestHubName');
  if (!hubNamePattern.test(hubName) && !/^%[^%]+%$/.test(hubName)) {
    section.fault(
      'hubName',
      'must be 3 to 45 letters and digits with a letter first, or %SETTING%',
    );
  }
  const acted = [
    'hubName',
    'maxConcurrentActivityFunctions',
    'maxConcurrentOrchestratorFunctions',
    'maxConcurrentEntityFunctions',
  ];
  return {
    hubName,
    maxConcurrentActivityFunctions: limit('maxConcurrentActivityFunctions'),
    maxConcurrentOrchestratorFunctions: limit('maxConcurrentOrchestratorFunctions'),
    maxConcurrentEntityFunctions: limit('maxConcurrentEntityFunctions'),
    notes: section.names
      .filter((name) => !acted.some((one) => one.toLowerCase() === name.toLowerCase()))
      .map((name) => `extensions.durableTask.${name} has no effect on this host`),
  };
}
