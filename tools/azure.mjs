// What azd's hooks run (azure.yaml), and a person may: both read the outputs of the deployment from
// the environment, or from `azd env get-values` where they are not there.
//   node tools/azure.mjs settings   writes local.settings.azure.json: the deployed app's connections
//   node tools/azure.mjs smoke      sends events and waits until the ledger has all of them
//   node tools/azure.mjs button     prints the Deploy-to-Azure button of this clone's repository
//     --branch main --repository owner/name   where it leads to; default: the remote "origin"
//     --write   into README.md, and the newest release's package into the form
//   node tools/azure.mjs release-notes   the button of a release, and what to give its form
//     --branch v1.2.3 --repository owner/name
//     --events 20 --timeout 300 --topology flights
//     --hubs <connection string> --storage <connection string>   another place than Azure
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const settingsFile = 'local.settings.azure.json';
const pollIntervalMs = 5_000;
const roleHint = 'Roles may take ten minutes to arrive: --timeout gives them longer.';

function outputs() {
  if (process.env.EVENT_HUBS_NAMESPACE) return process.env;
  const { error, status, stdout } = spawnSync('azd', ['env', 'get-values'], { encoding: 'utf8' });
  if (error || status !== 0) return process.env;
  const lines = stdout.matchAll(/^(\w+)="?(.*?)"?$/gm);
  return {
    ...process.env,
    ...Object.fromEntries(Array.from(lines, ([, name, value]) => [name, value])),
  };
}

function required(values, name) {
  if (values[name]) return values[name];
  throw new Error(
    `${name} is not known: run this through azd, or set it to the deployment's output`,
  );
}

/** Connections to the deployed resources as who is logged in; the host's own storage stays local. */
export function localSettings(values) {
  return {
    IsEncrypted: false,
    Values: {
      FUNCTIONS_WORKER_RUNTIME: 'node',
      AzureWebJobsStorage: 'UseDevelopmentStorage=true',
      EventHubConnection__fullyQualifiedNamespace: required(values, 'EVENT_HUBS_NAMESPACE'),
      LakeStorage__blobServiceUri: required(values, 'LAKE_BLOB_SERVICE_URI'),
    },
  };
}

/**
 * Flights that left four hours early: well-formed, so they are read; mistaken, so the topology
 * filters them. They are counted and leave no row. Their time is old and moves no window.
 */
export function smokeEvents(count) {
  return Array.from({ length: count }, (_, id) => ({
    body: {
      id,
      time: Date.UTC(2001, 0, 1),
      delay: -240,
      distance: 1,
      origin: 'SMK',
      destination: 'SMK',
    },
  }));
}

/** `owner/name`, as given or as the remote says. */
function repositoryOf(given) {
  if (given !== undefined) {
    if (/^[\w-]+\/[\w.-]+$/.test(given)) return given;
    throw new Error(`--repository must be owner/name, is "${given}"`);
  }
  const { stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { encoding: 'utf8' });
  const remote = (stdout ?? '').trim();
  const [, repository] = remote.match(/github\.com[/:]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/) ?? [];
  if (repository !== undefined) return repository;
  throw new Error(
    `the remote "origin" is not on GitHub: ${remote || 'there is none'}; give --repository owner/name`,
  );
}

/** Markdown of the button for a repository on GitHub: the portal reads template and form from there. */
export function deployButton(repository, branch) {
  const raw = (file) =>
    encodeURIComponent(`https://raw.githubusercontent.com/${repository}/${branch}/infra/${file}`);
  const page = 'https://portal.azure.com/#create/Microsoft.Template';
  const link = `${page}/uri/${raw('azuredeploy.json')}/createUIDefinitionUri/${raw('createUiDefinition.json')}`;
  return `[![Deploy to Azure](https://aka.ms/deploytoazurebutton)](${link})`;
}

function button({ branch, repository: given, write }) {
  const repository = repositoryOf(given);
  const markdown = deployButton(repository, branch);
  if (!write) {
    console.log(markdown);
    return;
  }
  writeIntoReadme(markdown);
  const form = 'infra/createUiDefinition.json';
  const definition = JSON.parse(readFileSync(form, 'utf8'));
  const elements = definition.parameters.steps.flatMap((step) => step.elements);
  elements.find(({ name }) => name === 'packageUri').defaultValue =
    `https://github.com/${repository}/releases/latest/download/millrace.zip`;
  writeFileSync(form, `${JSON.stringify(definition, null, 2)}\n`);
  console.log(`README.md has the button of ${repository}; ${form} asks for its newest release`);
}

function writeIntoReadme(line) {
  const path = 'README.md';
  const between = /(?<=<!-- deploy-button -->\n)[\s\S]*?(?=<!-- \/deploy-button -->)/;
  const text = readFileSync(path, 'utf8');
  if (!between.test(text)) throw new Error(`${path} has no lines <!-- deploy-button --> any more`);
  writeFileSync(
    path,
    text.replace(between, () => `\n${line}\n\n`),
  );
}

function releaseNotes({ branch, repository: given }) {
  const repository = repositoryOf(given);
  const address = `https://github.com/${repository}/releases/download/${branch}/millrace.zip`;
  console.log(
    `${deployButton(repository, branch)}\n\nRelease package, for the form: \`${address}\``,
  );
}

async function send(place, events) {
  const { EventHubProducerClient } = await import('@azure/event-hubs');
  const producer = place.connectionString
    ? new EventHubProducerClient(place.connectionString, place.hub)
    : new EventHubProducerClient(place.namespace, place.hub, await credential());
  try {
    const batch = await producer.createBatch();
    for (const event of events) {
      if (!batch.tryAdd(event)) throw new Error(`${events.length} events are more than one batch`);
    }
    await producer.sendBatch(batch);
  } finally {
    await producer.close();
  }
}

async function credential() {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}

/** Events of the first stage by end, as `millrace ledger` recounts them. */
function ledger(storage, topology) {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    ['dist/cli/millrace.js', '--json', '--storage', storage, 'ledger', topology],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (status === null || stdout === '') throw new Error(`millrace ledger: ${stderr}`);
  const { isBalanced, stages } = JSON.parse(stdout);
  const first = stages.find(({ stage }) => stage === topology);
  return { isBalanced, read: first?.read ?? 0, filtered: first?.filtered ?? 0 };
}

/** What is no number would be waited for, or until, for ever. */
function wholeNumber(option, text) {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new Error(`--${option} must be a whole number above 0, is "${text}"`);
}

/**
 * Does what may be refused while the roles of a deployment are on their way to the services: until it
 * succeeds, or the deadline has passed.
 */
async function onceAllowed(deadlineMs, work) {
  let said = '';
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!/STREAM_STORE_UNAVAILABLE|unauthorized/i.test(`${error.code} ${error.message}`))
        throw error;
      const reason = error.message.trim();
      if (Date.now() >= deadlineMs) throw new Error(`${reason}\n${roleHint}`, { cause: error });
      if (reason !== said) console.log(`waiting: ${reason}`);
      said = reason;
    }
    await sleep(pollIntervalMs);
  }
}

async function smoke({ events, hubs, storage, timeout, topology }) {
  const count = wholeNumber('events', events);
  const timeoutMs = wholeNumber('timeout', timeout) * 1000;
  const values = hubs && storage ? {} : outputs();
  if (values.PRIVATE_NETWORK_ONLY === 'true') {
    console.log('Skipped: Event Hubs and the lake are reached from the private network only.');
    const places = ['EVENT_HUBS_NAMESPACE', 'LAKE_BLOB_SERVICE_URI'];
    const set = places.map((name) => `${name}=${required(values, name)}`).join(' ');
    console.log(`On a machine inside it: ${set} node tools/azure.mjs smoke`);
    return;
  }
  const account = storage ?? required(values, 'LAKE_BLOB_SERVICE_URI');
  const place = hubs
    ? { connectionString: hubs, hub: topology }
    : { namespace: required(values, 'EVENT_HUBS_NAMESPACE'), hub: topology };
  const deadlineMs = Date.now() + timeoutMs;
  const before = await onceAllowed(deadlineMs, () => ledger(account, topology));
  await onceAllowed(deadlineMs, () => send(place, smokeEvents(count)));
  console.log(`sent ${count} events to ${topology}; ${before.read} were in the ledger before`);
  for (;;) {
    const after = await onceAllowed(deadlineMs, () => ledger(account, topology));
    const read = after.read - before.read;
    const filtered = after.filtered - before.filtered;
    if (read >= count && filtered >= count && after.isBalanced) {
      console.log(`ledger: ${read} read, ${filtered} filtered, balanced`);
      return;
    }
    if (Date.now() >= deadlineMs) {
      throw new Error(
        `after ${timeout} s the ledger has ${read} of ${count} events (${filtered} filtered, ` +
          `${after.isBalanced ? '' : 'not '}balanced). Look at the app's log. ${roleHint}`,
      );
    }
    await sleep(pollIntervalMs);
  }
}

async function main([command, ...rest]) {
  const { values } = parseArgs({
    args: rest,
    options: {
      events: { type: 'string', default: '20' },
      timeout: { type: 'string', default: '300' },
      topology: { type: 'string', default: 'flights' },
      hubs: { type: 'string' },
      storage: { type: 'string' },
      branch: { type: 'string', default: 'main' },
      repository: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  if (command === 'settings') {
    writeFileSync(settingsFile, `${JSON.stringify(localSettings(outputs()), null, 2)}\n`);
    console.log(`${settingsFile} is written; docs/DEPLOY.md says what it is good for`);
  } else if (command === 'smoke') {
    await smoke(values);
  } else if (command === 'button') {
    button(values);
  } else if (command === 'release-notes') {
    releaseNotes(values);
  } else {
    throw new Error(
      'usage: node tools/azure.mjs settings | smoke | button | release-notes [options]',
    );
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
