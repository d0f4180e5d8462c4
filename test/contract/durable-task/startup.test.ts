// Goal: an app that cannot have its task hub says so at the start, not later.
// Method: the real host with settings that are wrong, one at a time.
import { startFunctionsHost } from '../../support/built';
import { durableApp } from '../../support/durable-host';

jest.setTimeout(60_000);

it('without a storage account the host does not start and names the setting', async () => {
  await expect(
    startFunctionsHost({ appDirectory: durableApp, workers: 1, httpPort: 0 }),
  ).rejects.toThrow('the setting AzureWebJobsStorage must name a storage account');
});

it('with a hub name that no table can have it does not start and says where it is', async () => {
  await expect(
    (async () =>
      startFunctionsHost({
        appDirectory: durableApp,
        workers: 1,
        httpPort: 0,
        hostJson: { extensions: { durableTask: { hubName: 'no-table' } } },
      }))(),
  ).rejects.toThrow('extensions.durableTask.hubName: must be 3 to 45 letters and digits');
});
