const { app } = require('@azure/functions');
const { appendFileSync } = require('node:fs');

app.setup({ enableHttpStream: true });

app.http('upload', {
  methods: ['POST'],
  route: 'upload/{name}',
  handler: async (request) => {
    let bytes = 0;
    let chunks = 0;
    for await (const chunk of request.body) {
      bytes += chunk.length;
      chunks += 1;
    }
    const { name } = request.params;
    return {
      jsonBody: { name, bytes, chunks, header: request.headers.get('x-test'), url: request.url },
    };
  },
});

// Every event waits until the test has seen the one before.
app.http('events', {
  handler: () => {
    const body = new ReadableStream({
      async start(controller) {
        for (let number = 0; number < 3; number += 1) {
          controller.enqueue(`data: ${number}\n\n`);
          await new Promise((wake) => setTimeout(wake, 400));
        }
        controller.close();
      },
      cancel() {
        appendFileSync(process.env.NOTES, `${JSON.stringify({ cancelled: true })}\n`);
      },
    });
    return { headers: { 'content-type': 'text/event-stream' }, body };
  },
});

app.http('throws', {
  methods: ['GET', 'POST'],
  handler: () => {
    throw new Error('no stream today');
  },
});

app.http('breaks', {
  handler: () => ({
    body: new ReadableStream({
      async start(controller) {
        controller.enqueue('first');
        await new Promise((wake) => setTimeout(wake, 100));
        controller.error(new Error('broken in the middle'));
      },
    }),
  }),
});

app.http('nothing', { handler: () => undefined });
