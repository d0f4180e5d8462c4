// Goal: what a command is told is read as meant, and a fault that the system leaves without words has some.
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appAddress } from '../../../cli/arguments';
import { startEmulatorProcess } from '../../support/built';
import { hubFailureReason } from '../../../shared/adapters/event-hubs';

describe('faults in words', () => {
  it('an address of an app may end with a slash', () => {
    expect(appAddress('http://localhost:7071/')).toBe('http://localhost:7071');
    expect(appAddress('https://app.example/base')).toBe('https://app.example/base');
    expect(() => appAddress('localhost:7071')).toThrow(/must be an address/);
  });

  it('a host name with two addresses, neither of which answers, has both reasons', () => {
    const each = ['::1', '127.0.0.1'].map((host) => new Error(`connect ECONNREFUSED ${host}:1`));
    const cause = Object.assign(new AggregateError(each), { code: 'ECONNREFUSED' });
    expect(cause.message).toBe('');
    expect(hubFailureReason(cause)).toBe(
      'connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1',
    );
    expect(hubFailureReason(Object.assign(new Error(), { code: 'ECONNRESET' }))).toBe('ECONNRESET');
  });

  it('a port that is taken is not mended with an option that the command does not have', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-port-'));
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const config = join(directory, 'config.json');
    const Entities = [{ Name: 'hub', PartitionCount: 1 }];
    writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
    const { port } = server.address() as AddressInfo;
    try {
      const starting = startEmulatorProcess({
        dataDirectory: join(directory, 'hubs'),
        config,
        port,
      });
      await expect(starting).rejects.toThrow(
        `the Event Hubs emulator did not start: port ${port} is taken by another program: end that`,
      );
    } finally {
      server.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
