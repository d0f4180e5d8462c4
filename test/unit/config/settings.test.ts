// Goal: settings are compiled once, every fault is told, nothing is clamped, and all are documented.
import { compileAppSettings, settingsSpec } from '../../../shared/config/settings';

describe('settings', () => {
  it('have defaults', () => {
    expect(compileAppSettings({})).toMatchObject({
      commitContainer: 'millrace',
      lakeContainer: 'lake',
      tendIntervalMs: 2_000,
      hubConnectionString: null,
    });
  });

  it('report all faults together and say where to mend them', () => {
    const compile = (): unknown =>
      compileAppSettings({ MILLRACE_TEND_INTERVAL_MS: 'soon', MILLRACE_LOG_BLOCKS_MAX: '2' });
    expect(compile).toThrow(/STREAM_CONFIGURATION_INVALID/);
    expect(compile).toThrow(/MILLRACE_TEND_INTERVAL_MS.*soon.*MILLRACE_LOG_BLOCKS_MAX.*4 to 49000/);
  });

  it('each have a name of their own and a description', () => {
    const names = Object.values(settingsSpec).map(({ environment }) => environment);
    expect(new Set(names).size).toBe(names.length);
    for (const { description } of Object.values(settingsSpec)) expect(description).not.toBe('');
  });
});
