// Builds every process Millrace starts into dist/. The function app is one CommonJS bundle, loaded
// through package.json `main` by Azure, `func start` and our local host alike (docs/adr/0001).
//   node tools/build.mjs [folder]   another than dist
// A file that is right stays as it is, and one that is not is replaced in one step: what runs from
// here (`func start`, the emulators) never finds it gone or half written.
import { build, formatMessages } from 'esbuild';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPlaceholder, identityText, sourcesOf, stateFile, stateText } from './build-state.mjs';

/** ES modules among our packages ask where they are; in a CommonJS bundle this answers them. */
const importMeta = {
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: {
    'import.meta.url': 'importMetaUrl',
    // What is built is known when all of it was read: this is replaced below by a text of its length.
    MILLRACE_BUILD: JSON.stringify(buildPlaceholder),
  },
};

const common = {
  ...importMeta,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: true,
  sourcesContent: false,
  // Said below, once: both builds read the same sources.
  logLevel: 'silent',
  metafile: true,
};

/** Processes other than the function app: their packages stay in node_modules. */
const processes = [
  'cli/millrace.ts',
  'cli/replay/main.ts',
  'local/event-hubs/main.ts',
  'local/functions-host/main.ts',
  'local/functions-host/worker.ts',
  'local/storage/main.ts',
];

const writingMsMax = 60_000;
const target = resolve(process.argv[2] ?? 'dist');
if (process.argv[2] !== undefined) refuseForeign(target);

const settled = await Promise.allSettled([
  build({
    ...common,
    entryPoints: ['functions/app.ts'],
    outdir: join(target, 'functions'),
    external: ['@azure/functions-core'],
    write: false,
  }),
  build({
    ...common,
    entryPoints: processes,
    outdir: target,
    outbase: '.',
    packages: 'external',
    write: false,
  }),
]);
const failed = settled.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
// Another error than one of what was read is a programmer's: with its stack.
for (const error of failed) if (!Array.isArray(error.errors)) throw error;
const results = settled.flatMap(({ value }) => value ?? []);
await tell(
  'error',
  failed.flatMap(({ errors }) => errors),
);
await tell(
  'warning',
  [...failed, ...results].flatMap(({ warnings }) => warnings),
);
if (failed.length > 0) process.exit(1);

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const inputs = results
  .flatMap(({ metafile }) => Object.keys(metafile.inputs))
  .map((path) => relative(root, resolve(path)));
const sources = sourcesOf(root, inputs);
// Made again of the same sources it is the same build: its time is that of the first.
const identity = identityText(sources, target, new Date());
const files = [
  ...results.flatMap(({ outputFiles }) =>
    outputFiles.map(({ contents, path }) => ({ path, contents: withIdentity(contents) })),
  ),
  { path: join(target, stateFile), contents: Buffer.from(stateText(sources, identity)) },
];
for (const { contents, path } of files) {
  if (existsSync(path) && readFileSync(path).equals(contents)) continue;
  mkdirSync(dirname(path), { recursive: true });
  const written = `${path}.writing-${process.pid}`;
  writeFileSync(written, contents);
  renameSync(written, path);
}
// What an earlier build made and this one does not; a package made of an earlier build, too.
const wanted = new Set(files.map(({ path }) => path));
removeOthers(target);

/** Both texts are ASCII of one length: no place in a source map moves. */
function withIdentity(contents) {
  const bytes = Buffer.from(contents);
  for (
    let at = bytes.indexOf(buildPlaceholder);
    at >= 0;
    at = bytes.indexOf(buildPlaceholder, at)
  ) {
    bytes.write(identity, at, 'latin1');
  }
  return bytes;
}

/** What is not of a build is deleted in the end: a folder that holds something else is none of ours. */
function refuseForeign(folder) {
  const isBuilt = existsSync(join(folder, 'functions/app.js'));
  if (isBuilt || !existsSync(folder) || readdirSync(folder).length === 0) return;
  console.error(`${folder} holds something else than a build: name an empty folder, or delete it`);
  process.exit(2);
}

/** True when nothing is left in the folder. */
function removeOthers(folder) {
  let isEmpty = true;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const isKept = entry.isDirectory()
      ? !removeOthers(path)
      : wanted.has(path) || isBeingWritten(path);
    if (isKept) isEmpty = false;
    else rmSync(path, { recursive: true, force: true });
  }
  return isEmpty;
}

/** By another build at the same time; an old one was left by a build that was killed. */
function isBeingWritten(path) {
  if (!/\.writing-\d+$/.test(path)) return false;
  const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
  return Date.now() - mtimeMs < writingMsMax;
}

/** Messages with file, line and text. */
async function tell(kind, messages) {
  const texts = await formatMessages(messages, { kind, color: process.stderr.isTTY });
  for (const text of new Set(texts)) process.stderr.write(text);
}
