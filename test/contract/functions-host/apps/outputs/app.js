const { app, output } = require('@azure/functions');

const hub = output.eventHub({ connection: 'Hubs', eventHubName: '%OUT%' });
const blob = output.storageBlob({
  connection: 'AzureWebJobsStorage',
  path: 'results/{kind}/{rand-guid}.txt',
});
const named = output.storageBlob({
  path: 'results/named/{name}.json',
  connection: 'AzureWebJobsStorage',
});
const queue = output.storageQueue({ connection: 'AzureWebJobsStorage', queueName: 'jobs' });

const valueOf = async (request) => {
  const text = await request.text();
  const kind = request.query.get('kind');
  if (kind === 'bytes') return Buffer.from(text);
  return kind === 'json' ? JSON.parse(text) : text;
};

app.http('toHub', {
  methods: ['POST'],
  extraOutputs: [hub],
  handler: async (request, context) => {
    context.extraOutputs.set(hub, await valueOf(request));
    return { status: 200 };
  },
});
app.http('toBlob', {
  methods: ['POST'],
  route: 'toBlob/{kind}',
  extraOutputs: [blob],
  handler: async (request, context) => {
    context.extraOutputs.set(blob, await valueOf(request));
    return { status: 200 };
  },
});
app.http('toNamed', {
  methods: ['POST'],
  route: 'toNamed/{name}',
  extraOutputs: [named],
  handler: async (request, context) => {
    context.extraOutputs.set(named, await valueOf(request));
    return { status: 200 };
  },
});
app.http('toQueue', {
  methods: ['POST'],
  extraOutputs: [queue],
  handler: async (request, context) => {
    context.extraOutputs.set(queue, await valueOf(request));
    return { status: 200 };
  },
});
app.eventHub('copy', {
  connection: 'Hubs',
  eventHubName: '%IN%',
  cardinality: 'many',
  dataType: 'string',
  retry: { strategy: 'fixedDelay', maxRetryCount: 1, delayInterval: 0 },
  return: output.eventHub({ connection: 'Hubs', eventHubName: '%OUT%' }),
  handler: (bodies) =>
    bodies.map((body) => (body === 'huge' ? 'x'.repeat(2_000_000) : `copy of ${body}`)),
});
