// One function over the hub HUB. What it does with a batch is in the batch: a body "throw" throws,
// "throw-once" only on the first attempt, "sleep" waits for the file RELEASE, "exit" ends the process.
const { app } = require('@azure/functions');
const { appendFileSync, existsSync } = require('node:fs');

const note = (entry) =>
  appendFileSync(process.env.NOTES, `${JSON.stringify({ pid: process.pid, ...entry })}\n`);
const options = JSON.parse(process.env.OPTIONS ?? '{}');

app.eventHub('read', {
  connection: 'Hubs',
  eventHubName: '%HUB%',
  cardinality: 'many',
  dataType: 'string',
  ...options,
  handler: async (input, context) => {
    const bodies = Array.isArray(input) ? input : [input];
    note({
      bodies,
      isBuffer: Buffer.isBuffer(bodies[0]),
      isMany: Array.isArray(input),
      metadata: context.triggerMetadata,
      retryContext: context.retryContext,
      invocationId: context.invocationId,
      atMs: Date.now(),
    });
    const does = (what) => bodies.some((body) => String(body).startsWith(what));
    if (does('sleep')) {
      while (!existsSync(process.env.RELEASE)) await new Promise((wake) => setTimeout(wake, 50));
      note({ awake: true });
    }
    if (does('block')) for (;;);
    if (does('exit')) process.exit(7);
    if (does('throw-once') && (context.retryContext?.retryCount ?? 0) === 0)
      throw new Error('once');
    if (does('throw-always')) throw new Error('always');
    context.log(`took ${bodies.length}`);
  },
});
