const { app } = require('@azure/functions');

const echo = async (request, context) => ({
  status: 201,
  headers: { 'x-function': context.functionName },
  cookies: [
    { name: 'seen', value: 'a b', path: '/', httpOnly: true, sameSite: 'Strict', maxAge: 60 },
  ],
  jsonBody: {
    url: request.url,
    method: request.method,
    params: request.params,
    query: Object.fromEntries(request.query),
    header: request.headers.get('x-test'),
    cookie: request.headers.get('cookie'),
    body: await request.text(),
  },
});

app.http('echo', { methods: ['GET', 'POST', 'HEAD'], handler: echo });
app.http('item', { route: 'Shop/{category}/{id:int}', handler: echo });
app.http('itemByName', { route: 'shop/{category}/{name}', handler: echo });
app.http('itemList', { route: 'shop/{category}/list', handler: echo });
app.http('page', { route: 'pages/{number?}', handler: echo });
app.http('files', { route: 'files/{*rest}', handler: echo });
app.http('version', { route: 'v{major:int}.{minor:int}/about', handler: echo });
app.http('onlyPut', { methods: ['PUT'], handler: echo });
app.http('throws', {
  handler: () => {
    throw new Error('this went wrong');
  },
});
app.http('throwsObject', {
  handler: () => {
    throw { code: 5 };
  },
});
app.http('slow', {
  handler: async (request) => {
    const milliseconds = Number(request.query.get('milliseconds'));
    await new Promise((wake) => setTimeout(wake, milliseconds));
    return { body: 'done' };
  },
});
app.http('nothing', { handler: () => undefined });
app.http('bytes', { handler: () => ({ body: Buffer.from([0, 1, 2, 255]) }) });
app.http('forFunction', { authLevel: 'function', handler: () => ({ body: 'in' }) });
app.http('forAdmin', { authLevel: 'admin', handler: () => ({ body: 'in' }) });
