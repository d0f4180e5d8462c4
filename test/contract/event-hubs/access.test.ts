// Goal: whoever shows a wrong key or none, a token that has expired or one for another hub is refused in
// the words and with the conditions that SDKs know from the service; --any-key lets everybody in.
import { once } from 'node:events';
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { startEventHubsEmulator, type EventHubsEmulator } from '../../../local/event-hubs';
import {
  BareClient,
  dataMessage,
  errorOf,
  outcomeOf,
  sharedAccessToken,
} from '../../support/amqp-bare-client';

jest.setTimeout(60_000);

const retryOptions = { maxRetries: 0, timeoutInMs: 5_000 };
const lines: string[] = [];
let emulator: EventHubsEmulator;
let client: BareClient;

beforeAll(async () => {
  emulator = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: true },
    log: (line) => lines.push(line),
  });
});

beforeEach(async () => {
  lines.length = 0;
  client = await BareClient.open(emulator.port, { mechanism: 'ANONYMOUS' });
});

afterEach(async () => {
  await client.close();
});

afterAll(async () => {
  await emulator.close();
});

const source = (hub: string): string => `${hub}/ConsumerGroups/$default/Partitions/0`;
const audienceOf = (path: string): string => `sb://localhost:${emulator.port}/${path}`;

/** The error that a link to receive is detached with, after its attach was answered. */
async function receiverRefusal(address: string): Promise<Error> {
  const { receiver } = await client.receiver(address);
  if (!receiver.error) await once(receiver, 'receiver_close');
  return errorOf(receiver);
}

const withKey = (change: (connectionString: string) => string): string =>
  change(emulator.connectionString);

describe('the SDK', () => {
  const wrong = [
    ['key', withKeyValue('another')],
    ['key name', (text: string) => text.replace('RootManage', 'Listen')],
    ['empty signature', withSignature(() => 'SharedAccessSignature ')],
    [
      'signature by another key',
      withSignature((audience) => sharedAccessToken(audience, { key: 'another' })),
    ],
  ] as const;

  test.each(wrong)('with a wrong %s is refused as by the service', async (_what, change) => {
    const producer = new EventHubProducerClient(withKey(change), 'orders', { retryOptions });
    await expect(producer.sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'UnauthorizedError',
      message: expect.stringMatching(/^(InvalidSignature|MalformedToken): /),
    });
    await expect(producer.getPartitionIds()).rejects.toMatchObject({ code: 'UnauthorizedError' });
    await producer.close();
    const consumer = new EventHubConsumerClient('$Default', withKey(change), 'orders', {
      retryOptions,
    });
    const error = await new Promise<Error>((resolve) => {
      consumer.subscribe('0', {
        processEvents: async () => undefined,
        processError: async (refusal) => resolve(refusal),
      });
    });
    expect(error).toMatchObject({ code: 'UnauthorizedError' });
    await consumer.close();
    expect(lines.join('\n')).toMatch(/printed at the start, or start with --any-key/);
  });

  test('with a signature that has expired is told when it did', async () => {
    const change = withSignature((audience) =>
      sharedAccessToken(audience, { expiresAtMs: Date.UTC(2020, 5, 17, 19, 35, 26) }),
    );
    const producer = new EventHubProducerClient(withKey(change), 'orders', { retryOptions });
    await expect(producer.sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'UnauthorizedError',
      message: expect.stringContaining(
        "ExpiredToken: The token is expired. Expiration time: '2020-06-17 19:35:26Z'",
      ),
    });
    await producer.close();
  });

  test('with a signature for its hub works, and for another hub does not', async () => {
    const change = withSignature((audience) => sharedAccessToken(`${audience}Orders`));
    const producer = new EventHubProducerClient(withKey(change), 'orders', { retryOptions });
    await producer.sendBatch([{ body: 1 }]);
    expect(await producer.getPartitionIds()).toHaveLength(4);
    await producer.close();
    const other = new EventHubProducerClient(withKey(change), 'orders2', { retryOptions });
    await expect(other.sendBatch([{ body: 1 }])).rejects.toMatchObject({
      code: 'UnauthorizedError',
      message: expect.stringMatching(/^InvalidAudience: /),
    });
    await other.close();
  });
});

function withKeyValue(key: string): (connectionString: string) => string {
  return (text) => text.replace('SAS_KEY_VALUE', key);
}

function withSignature(
  signature: (namespace: string) => string,
): (connectionString: string) => string {
  return (text) =>
    text.replace(
      /SharedAccessKeyName=[^;]*;SharedAccessKey=[^;]*;/,
      `SharedAccessSignature=${signature(`sb://localhost:${emulator.port}/`)};`,
    );
}

describe('a token on $cbs', () => {
  const put = async (
    token: unknown,
    properties: Readonly<Record<string, unknown>>,
  ): Promise<string> => {
    const answer = await client.putToken(token, properties);
    expect(answer['correlationId']).toMatch(/^cbs-/);
    return `${String(answer['status-code'])} ${String(answer['error-condition'] ?? '-')} ${String(answer['status-description'])}`;
  };
  const tokenFor = (path: string): string => sharedAccessToken(audienceOf(path));

  test.each([
    ['of the namespace', '', 'orders/ConsumerGroups/$default/Partitions/0'],
    ['of the hub', 'Orders', 'orders/Partitions/0'],
    ['of the management of the hub', 'orders/$management', 'orders/$management'],
  ])('%s is taken for what is below it', async (_what, path, name) => {
    const answer = await put(tokenFor(path), { name: audienceOf(name) });
    expect(answer).toBe('202 - Accepted');
  });

  test.each(['http', 'https', 'amqp', 'amqps', 'sb'])(
    'may name its hub with %s://',
    async (scheme) => {
      const audience = `${scheme}://somewhere.example/orders`;
      expect(await put(sharedAccessToken(audience), { name: audience })).toBe('202 - Accepted');
    },
  );

  test.each([
    ['a wrong audience', () => tokenFor('orders'), 'InvalidAudience: The authorization header'],
    ['a name that only begins alike', () => tokenFor('payment'), 'InvalidAudience'],
    [
      'no signature',
      () => 'SharedAccessSignature sr=a&se=1&skn=b',
      'MalformedToken: The token has no sig',
    ],
    ['no time', () => `${tokenFor('payments')}x`.replace(/se=\d+/, 'se=soon'), 'MalformedToken'],
    ['a bad escape', () => tokenFor('payments').replace(/sig=/, 'sig=%zz'), 'MalformedToken'],
    ['a cut signature', () => tokenFor('payments').replace(/sig=..../, 'sig='), 'InvalidSignature'],
    ['a later time', () => tokenFor('payments').replace(/se=\d/, 'se=9'), 'InvalidSignature'],
    ['another form', () => 'Bearer abc', 'MalformedToken'],
    ['nothing', () => null, 'MalformedToken'],
  ])('with %s is refused with 401', async (_what, token, reason) => {
    const answer = await put(token(), { name: audienceOf('payments') });
    expect(answer).toContain(`401 com.microsoft:auth-failed ${reason}`);
  });

  test('other operations are not implemented', async () => {
    expect(await put('x', { operation: 'delete-token', name: '' })).toMatch(/^501 /);
  });

  const jwt = (claims: object): string =>
    `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

  test.each([
    ['now', () => jwt({ exp: Math.floor(Date.now() / 1_000) + 600 }), /^202/],
    [
      'long ago',
      () => jwt({ exp: 1_500_000_000 }),
      /^401 .* ExpiredToken: .*'2017-07-14 02:40:00Z'/,
    ],
    ['never', () => 'any text at all', /^202/],
  ])('of Entra ID that ends %s', async (_when, token, answer) => {
    expect(await put(token(), { name: audienceOf('orders'), type: 'jwt' })).toMatch(answer);
  });
});

describe('a link', () => {
  const refused = (claim: string): object => ({
    condition: 'amqp:unauthorized-access',
    message: expect.stringMatching(
      new RegExp(
        `^Unauthorized access\\. '${claim}' claim\\(s\\) are required to perform this operation\\. Resource: 'sb://localhost/`,
      ),
    ),
  });

  test('without a token is refused', async () => {
    await expect(client.sender('orders')).rejects.toMatchObject(refused('Send'));
    await expect(receiverRefusal(source('orders'))).resolves.toMatchObject(refused('Listen'));
    expect(lines.join('\n')).toMatch(/link refused: .*--any-key/);
  });

  test('is let in with a token for its hub alone', async () => {
    await client.putToken(sharedAccessToken(audienceOf('orders')), { name: audienceOf('orders') });
    const sender = await client.sender('/orders/Partitions/1');
    const outcome = await outcomeOf(sender, () =>
      sender.send(dataMessage(Buffer.from('x')), undefined, 0),
    );
    expect(outcome).toBe('accepted');
    await client.receiver(`sb://elsewhere.example/${source('ORDERS')}`);
    await expect(client.sender('orders2')).rejects.toMatchObject(refused('Send'));
  });

  test('is let in by what the token was shown for, not by all that it could be shown for', async () => {
    const name = audienceOf(source('orders'));
    await client.putToken(sharedAccessToken(audienceOf('')), { name });
    await client.receiver(source('orders'));
    await expect(client.sender('orders')).rejects.toMatchObject(refused('Send'));
  });

  test('after the token has expired is refused', async () => {
    const expiresAtMs = Date.now() + 2_000;
    const token = sharedAccessToken(audienceOf('orders'), { expiresAtMs });
    await client.putToken(token, { name: audienceOf('orders') });
    await client.sender('orders');
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await expect(client.sender('orders')).rejects.toMatchObject({
      condition: 'amqp:unauthorized-access',
      message: expect.stringMatching(/^ExpiredToken: /),
    });
  });

  test('on a connection with another key is never reached', async () => {
    await expect(
      BareClient.open(emulator.port, {
        ...{ sasl_mechanisms: undefined, username: 'RootManageSharedAccessKey', password: 'x' },
      }),
    ).rejects.toThrow();
  });
});

test('--any-key lets in whoever comes', async () => {
  const open = await startEventHubsEmulator({
    ...{ port: 0, controlPort: 0, createOnTheFly: true, isAnyKeyAccepted: true },
  });
  const anybody = await BareClient.open(open.port, { mechanism: 'ANONYMOUS' });
  await anybody.sender('orders');
  await anybody.close();
  const producer = new EventHubProducerClient(
    open.connectionString.replace('SAS_KEY_VALUE', 'another'),
    'orders',
    { retryOptions },
  );
  await producer.sendBatch([{ body: 1 }]);
  await producer.close();
  await open.close();
});
