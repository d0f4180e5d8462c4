// Goal: host.json is read as the platform reads it.
import { compileHostSettings } from '../../../local/functions-host/host-settings';
import type { Fault } from '../../../local/functions-host/json-file';

test('names count in any case, as the platform reads them', () => {
  const faults: Fault[] = [];
  const host = {
    Version: '2.0',
    FunctionTimeout: '00:01:00',
    extensions: { EventHubs: { MaxEventBatchSize: 7 }, HTTP: { RoutePrefix: '' } },
  };
  const settings = compileHostSettings(host, 'host.json', faults);
  expect(faults).toEqual([]);
  expect(settings.functionTimeoutMs).toBe(60_000);
  expect(settings.eventHubs.maxEventBatchSize).toBe(7);
  expect(settings.routePrefix).toBe('');
});

test('a function timeout of no time at all is a fault', () => {
  const faults: Fault[] = [];
  compileHostSettings({ version: '2.0', functionTimeout: '00:00:00' }, 'host.json', faults);
  expect(faults).toMatchObject([{ path: 'functionTimeout' }]);
});
