// Looks for credentials in every tracked file: node tools/secrets.mjs. Ends with 1 if it finds one.
// What the emulators use is public and allowed; nothing else is, not even in a test.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Azurite's key is in its documentation; the Event Hubs emulator takes this very text. */
const publicValues = [
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
  'SAS_KEY_VALUE',
];

export const patterns = {
  'private key': /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  // 64 bytes; a lockfile's integrity hash looks alike and has its name before it.
  'storage account key': /(?<![\w+/-])[A-Za-z0-9+/]{86}==(?![\w+/=])/,
  'shared access key': /SharedAccessKey[=](?!\$|<|\.\.\.)[^;"'`\s]{8,}/,
  'account key': /AccountKey[=](?!\$|<|\.\.\.)[^;"'`\s]{8,}/,
  'shared access signature': /[?&]sig=[A-Za-z0-9%+/=]{20,}/,
  'client secret of Entra': /(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])/,
  'token of GitHub': /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,})\b/,
  'token of npm': /\bnpm_[A-Za-z0-9]{36}\b/,
  'key of AWS': /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
  'token of Slack': /\bxox[abprs]-[A-Za-z0-9-]{10,}/,
  'signed token (JWT)': /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/,
  'function key in an address': /[?&]code=[\w-]{30,}={0,2}/,
};

/** Each credential in a text, by line; the text of it is not repeated. */
export function secretsIn(text) {
  return text.split('\n').flatMap((whole, index) => {
    const line = publicValues.reduce((rest, value) => rest.replaceAll(value, '<public>'), whole);
    return Object.entries(patterns)
      .filter(([, pattern]) => pattern.test(line))
      .map(([kind]) => ({ line: index + 1, kind }));
  });
}

function trackedFiles() {
  const listed = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' });
  return listed.split('\0').filter((path) => path !== '');
}

/** Every find in the repository's tracked files; files with bytes that are no text are left out. */
export function scan(paths = trackedFiles()) {
  return paths.flatMap((path) => {
    const bytes = readFileSync(path);
    if (bytes.includes(0)) return [];
    return secretsIn(bytes.toString('utf8')).map((found) => ({ path, ...found }));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const paths = trackedFiles();
  const found = scan(paths);
  for (const { kind, line, path } of found) console.error(`${path}:${line}: looks like a ${kind}`);
  console.log(`${paths.length} files, ${found.length} credentials`);
  process.exit(found.length === 0 ? 0 : 1);
}
