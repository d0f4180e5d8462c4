const { app } = require('@azure/functions');

app.http('fromCommonJs', { handler: () => ({ body: 'commonjs' }) });
