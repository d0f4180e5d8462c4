// Goal: frames with bytes changed at random neither end nor hang an emulator in a process of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { EmulatorProcess } from '../../../local/event-hubs/process';
import { startEmulatorProcess } from '../../support/built';
import {
  bin,
  codes,
  composite,
  event,
  map,
  no,
  none,
  RawClient,
  str,
  sym,
  uint,
  yes,
} from '../../support/amqp-raw-client';
import {
  attachReceiver,
  attachSender,
  disposition,
  flow,
  outcomeOf,
  outcomes,
  source,
  transfer,
} from '../../support/amqp-raw-links';

jest.setTimeout(120_000);

const hub = 'mutated';
let directory = '';
let emulator: EmulatorProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mutated-frames-'));
  const config = join(directory, 'Config.json');
  const Entities = [{ Name: hub, PartitionCount: 1 }];
  writeFileSync(config, JSON.stringify({ UserConfig: { NamespaceConfig: [{ Entities }] } }));
  emulator = await startEmulatorProcess({ dataDirectory: join(directory, 'data'), config });
});

afterAll(async () => {
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A conversation: sender, reader, request, and what goes to and fro on them. */
const conversation = (): Buffer[] => [
  attachSender(`${hub}/Partitions/0`, { handle: 0 }),
  attachReceiver(source(hub), { handle: 1, filter: "amqp.annotation.x-opt-offset > '-1'" }),
  attachSender('$management', { handle: 2 }),
  attachReceiver('$management', { handle: 3, properties: map(sym('x'), str('y')) }),
  flow(1, 10),
  flow(3, 10),
  Buffer.concat([transfer(0, 0), event('x')]),
  Buffer.concat([
    transfer(2, 1),
    composite(0x73, str('id'), none, none, none, str('here')),
    event(''),
  ]),
  composite(codes.transfer, uint(0), uint(2), bin('2'), none, no, yes),
  composite(codes.transfer, uint(0), none, none, none, none, none, none, none, none, yes),
  disposition(0, 9, yes, composite(outcomes.accepted)),
  composite(
    codes.flow,
    ...[uint(0), uint(9), uint(0), uint(9), uint(1), uint(0), uint(3), none, yes, yes],
  ),
  composite(codes.detach, uint(0), yes),
  composite(codes.end),
  composite(codes.close),
];

test('whatever bytes of frames are changed, the others are served', async () => {
  const bystander = await RawClient.begin(emulator.port);
  bystander.send(attachSender(`${hub}/Partitions/0`));
  await bystander.next(codes.flow);
  let sent = 0;
  const change = fc.record({
    frame: fc.nat(conversation().length - 1),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    byte: fc.oneof(
      fc.nat(255),
      fc.constantFrom(0x00, 0x40, 0x41, 0x43, 0x45, 0x56, 0x70, 0x82, 0xa1, 0xc0, 0xd0, 0xf0),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const client = await RawClient.begin(emulator.port);
      const frames = conversation();
      for (const { at, byte, frame } of changes) {
        const bytes = frames[frame];
        if (bytes !== undefined) bytes[Math.floor(at * bytes.length)] = byte;
      }
      for (const frame of frames) client.send(frame);
      bystander.send(transfer(0, sent), { payload: event('fine') });
      sent += 1;
      expect(await outcomeOf(bystander)).toBe(outcomes.accepted);
      client.end();
    }),
    { numRuns: 400 },
  );
  const health = await fetch(`http://127.0.0.1:${emulator.controlPort}/health`);
  expect(health.status).toBe(200);
  expect(emulator.child.exitCode).toBeNull();
  bystander.end();
});
