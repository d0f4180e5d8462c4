const { app } = require('@azure/functions');

app.http('never', { handler: () => ({ body: 'never' }) });
throw new Error('this app is broken');
