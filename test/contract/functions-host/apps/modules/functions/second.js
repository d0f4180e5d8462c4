import { app } from '@azure/functions';

app.http('fromSecondModule', { handler: () => ({ body: 'second module' }) });
