// Goal: connection strings of the emulator in every form, and a clear no to all others.
import { hubPlace } from '../../../local/functions-host/hub-reading/hub-place';

const key = 'SharedAccessKeyName=Root;SharedAccessKey=abc=;UseDevelopmentEmulator=true';

test.each([
  ['sb://localhost', 'localhost', 5672],
  ['sb://localhost/', 'localhost', 5672],
  ['sb://localhost:6672', 'localhost', 6672],
  ['sb://localhost:6672/', 'localhost', 6672],
  ['amqp://127.0.0.1:7000/', '127.0.0.1', 7000],
])('Endpoint=%s', (endpoint, host, port) => {
  expect(hubPlace(`Endpoint=${endpoint};${key}`, 'orders')).toEqual({
    host,
    port,
    eventHubName: 'orders',
    fullyQualifiedNamespace: host,
    key: { name: 'Root', value: 'abc=' },
  });
});

test('a connection string without a key', () => {
  const text = 'Endpoint=sb://localhost;UseDevelopmentEmulator=true';
  expect(hubPlace(text, 'orders').key).toBeNull();
});

test('EntityPath names the hub when the trigger does not', () => {
  const text = `Endpoint=sb://localhost;${key};EntityPath=orders`;
  expect(hubPlace(text, '').eventHubName).toBe('orders');
  expect(hubPlace(text, 'orders').eventHubName).toBe('orders');
});

test.each([
  ['', /no Endpoint/],
  ['Endpoint=localhost;UseDevelopmentEmulator=true', /sb:\/\/host\[:port\]/],
  ['Endpoint=sb://a.servicebus.windows.net/;SharedAccessKey=b', /UseDevelopmentEmulator=true/],
  [`Endpoint=sb://localhost;${key};EntityPath=payments`, /EntityPath is payments/],
])('%p is refused', (text, reason) => {
  expect(() => hubPlace(text, 'orders')).toThrow(reason);
});

test('a hub must be named', () => {
  expect(() => hubPlace(`Endpoint=sb://localhost;${key}`, '')).toThrow(/eventHubName/);
});
