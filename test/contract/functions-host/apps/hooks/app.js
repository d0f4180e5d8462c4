const { app } = require('@azure/functions');
const { appendFileSync } = require('node:fs');

const note = (entry) => appendFileSync(process.env.NOTES, `${JSON.stringify(entry)}\n`);

app.hook.appStart((context) => {
  context.hookData.mine = true;
  note({
    hook: 'appStart',
    cwd: process.cwd(),
    environment: {
      scriptRoot: process.env.AzureWebJobsScriptRoot,
      hostname: process.env.WEBSITE_HOSTNAME,
      environment: process.env.AZURE_FUNCTIONS_ENVIRONMENT,
      runtime: process.env.FUNCTIONS_WORKER_RUNTIME,
      own: process.env.OWN_SETTING,
    },
  });
});
app.hook.appTerminate(() => note({ hook: 'appTerminate' }));
app.hook.preInvocation((context) => {
  context.hookData.from = 'pre';
  note({ hook: 'pre', name: context.invocationContext.functionName });
  if (context.inputs[0].query.get('replace') !== null) {
    context.functionHandler = () => ({ body: 'replaced' });
  }
});
app.hook.postInvocation((context) => {
  note({ hook: 'post', from: context.hookData.from, error: context.error?.message });
  if (context.error?.message === 'forgiven') {
    context.error = null;
    context.result = { body: 'all is well' };
  }
});
app.hook.log((context) => {
  if (context.category === 'user') context.message = context.message.replace('secret', '*****');
});

app.http('hooked', {
  handler: (request, context) => {
    context.log('the secret word');
    const fault = request.query.get('fault');
    if (fault !== null) throw new Error(fault);
    return { body: 'handled' };
  },
});
