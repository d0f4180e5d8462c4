import { app } from '@azure/functions';

const place = await Promise.resolve(import.meta.url);

app.http('fromModule', { handler: () => ({ body: place.startsWith('file:') ? 'module' : place }) });
