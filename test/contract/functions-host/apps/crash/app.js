const { app } = require('@azure/functions');

app.http('pid', { handler: () => ({ body: String(process.pid) }) });
app.http('exit', { handler: () => process.exit(3) });
app.http('block', {
  handler: () => {
    for (;;);
  },
});
