const { app } = require('@azure/functions');
const { appendFileSync } = require('node:fs');

const note = (entry) =>
  appendFileSync(process.env.NOTES, `${JSON.stringify({ pid: process.pid, ...entry })}\n`);
const options = JSON.parse(process.env.OPTIONS ?? '{}');
const workMs = Number(process.env.WORK_MS ?? '0');

app.timer('tick', {
  schedule: '%SCHEDULE%',
  ...options,
  handler: async (timer, context) => {
    note({ began: Date.now(), timer, retryContext: context.retryContext });
    await new Promise((wake) => setTimeout(wake, workMs));
    if (process.env.THROWS !== undefined) throw new Error('no tick');
    note({ ended: Date.now() });
  },
});
