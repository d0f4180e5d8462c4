// Goal: a client that does not read what it asked for costs little memory, and gets it when it reads.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import { BareClient, until } from '../../support/amqp-bare-client';

jest.setTimeout(60_000);

let emulator: EventHubsEmulator;

beforeAll(async () => {
  emulator = await startEventHubsEmulator({ port: 0, controlPort: 0, createOnTheFly: true });
});

afterAll(async () => {
  await emulator.close();
});

test('a client that asks and does not read is not listened to until it has read', async () => {
  const client = await BareClient.open(emulator.port, { sessionBufferSize: 4_000_000_000 });
  const sender = await client.sender('$management');
  const receiver = sender.session.open_receiver({
    ...{ source: '$management', target: { address: 'me' }, credit_window: 0 },
  });
  receiver.add_credit(4_000_000_000);
  await once(receiver, 'receiver_open');
  const { socket } = client.connection as unknown as { socket: Socket };
  const written = jest.spyOn(socket, 'write');
  const answered = once(receiver, 'message');
  sender.send({
    ...{ message_id: 'x'.repeat(1_000), reply_to: 'me', body: '' },
    application_properties: { operation: 'READ', name: 'asked', type: 'com.microsoft:eventhub' },
  });
  await answered;
  // The transfer that it wrote, the only large frame; its delivery id, 0, is one byte.
  const request = written.mock.calls
    .map(([bytes]) => Buffer.from(bytes as Buffer))
    .find(({ length }) => length > 100);
  written.mockRestore();
  if (request === undefined) throw new Error('no request was written');
  const idAt = 8 + 3 + 9 + 1;
  const again = (id: number): Buffer => {
    const number = Buffer.from([0x70, 0, 0, 0, 0]);
    number.writeUInt32BE(id, 1);
    const bytes = Buffer.concat([request.subarray(0, idAt), number, request.subarray(idAt + 1)]);
    bytes.writeUInt32BE(bytes.length, 0);
    bytes.writeUInt32BE(bytes.readUInt32BE(12) + 4, 12);
    return bytes;
  };
  socket.pause();
  let taken = 0;
  for (let isTaken = true; isTaken && taken < 200;) {
    const requests = Array.from({ length: 100 }, (_, index) => again(100 * taken + index + 1));
    isTaken = await new Promise((resolve) => {
      socket.write(Buffer.concat(requests), () => resolve(true));
      setTimeout(() => resolve(false), 2_000);
    });
    if (isTaken) taken += 1;
  }
  expect(taken).toBeLessThan(200);
  socket.resume();
  await until(() => socket.writableLength === 0);
  await client.close();
});
