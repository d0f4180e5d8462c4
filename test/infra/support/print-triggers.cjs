// Loads the built app in the place of the Functions worker, with the settings it finds in the
// environment, and prints what it registers.
const Module = require('node:module');
const { join, resolve } = require('node:path');

const root = resolve(__dirname, '../../..');
const registered = [];
const core = {
  version: '3.14.1',
  hostVersion: '4.0.0',
  registerFunction: ({ bindings, name }) => {
    registered.push({ name, bindings: Object.values(bindings) });
    return { dispose: () => undefined };
  },
  registerHook: () => ({ dispose: () => undefined }),
  setProgrammingModel: () => undefined,
  getProgrammingModel: () => undefined,
  log: () => undefined,
  Disposable: class {},
};
const load = Module._load;
Module._load = function (request, ...rest) {
  return request === '@azure/functions-core' ? core : load.call(this, request, ...rest);
};
process.chdir(root);
require(join(root, require(join(root, 'package.json')).main));
process.stdout.write(JSON.stringify(registered));
process.exit(0);
