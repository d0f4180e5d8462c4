// Goal: host.json is read as the platform reads it.
import { compileHostSettings } from '../../../local/functions-host/host-settings';
import type { Fault } from '../../../local/settings/json-file';
import { readSettings, resolveSettings, settingOf } from '../../../local/functions-host/settings';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

test('a number or flag in quotes is one, as in any configuration of .NET', () => {
  const faults: Fault[] = [];
  const eventHubs = { prefetchCount: '5', trackLastEnqueuedEventProperties: 'True' };
  const settings = compileHostSettings({ version: '2.0', extensions: { eventHubs } }, 'f', faults);
  expect(faults).toEqual([]);
  expect(settings.eventHubs).toMatchObject({
    ...{ prefetchCount: 5, trackLastEnqueuedEventProperties: true },
  });
});

test('a list of functions that is none is a fault', () => {
  const faults: Fault[] = [];
  compileHostSettings({ version: '2.0', functions: 'page' }, 'host.json', faults);
  expect(faults).toMatchObject([{ path: 'functions' }]);
});

test('settings are found by their names in any case', () => {
  const settings = { HUB: 'h', 'A:B': 'c' };
  expect(resolveSettings('%hub%-%Hub%', settings)).toBe('h-h');
  expect(settingOf(settings, 'a__b')).toBe('c');
  expect(settingOf({ hub: 'small', HUB: 'large' }, 'HUB')).toBe('large');
});

describe('the files of an app', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const read = (
    host: unknown,
    local: unknown,
    environment: Record<string, string> = {},
  ): ReturnType<typeof readSettings> => {
    writeFileSync(join(folder, 'host.json'), JSON.stringify(host));
    writeFileSync(join(folder, 'local.settings.json'), JSON.stringify(local));
    return readSettings({ appDirectory: folder, environment });
  };

  test('ConnectionStrings count as connections, as texts or objects', () => {
    const { app } = read(
      { version: '2.0' },
      { ConnectionStrings: { One: 'a', Two: { ConnectionString: 'b', ProviderName: 'x' } } },
    );
    expect(app.values).toMatchObject({
      ...{ 'ConnectionStrings:One': 'a', 'ConnectionStrings:Two': 'b' },
    });
    expect(() => read({ version: '2.0' }, { ConnectionStrings: { One: 5 } })).toThrow(
      /ConnectionStrings\.One: must be a text/,
    );
  });

  test('AzureFunctionsJobHost settings stand before host.json', () => {
    const { host } = read(
      {
        version: '2.0',
        functionTimeout: '00:05:00',
        functions: ['a', 'b'],
        extensions: { eventHubs: { maxEventBatchSize: 7, prefetchCount: 9 } },
      },
      { Values: { AzureFunctionsJobHost__extensions__EventHubs__maxEventBatchSize: '3' } },
      {
        AzureFunctionsJobHost__functionTimeout: '-1',
        AzureFunctionsJobHost__functions__1: 'c',
        AzureFunctionsJobHost__logging__console__isEnabled: 'true',
        'azurefunctionsjobhost:extensions:http:routePrefix': 'x',
      },
    );
    expect(host.eventHubs).toMatchObject({ maxEventBatchSize: 3, prefetchCount: 9 });
    expect(host.functionTimeoutMs).toBe(Infinity);
    expect(host.functions).toEqual(['a', 'c']);
    expect(host.routePrefix).toBe('x');
  });
});
