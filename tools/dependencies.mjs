// The rules for what Millrace is built from, checked over package-lock.json and node_modules:
//   node tools/dependencies.mjs        ends with 1 if a rule is broken
// 1. package.json names exact versions. 2. Every package comes from a registry and has its hash.
// 3. What is deployed has a licence of the list and runs nothing when it is installed.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const allowedLicences = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
];

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Whether an SPDX expression can be met with allowed licences: OR offers, AND demands. */
export function isAllowed(expression) {
  const inBrackets = /\(([^()]*)\)/;
  let bare = expression;
  while (inBrackets.test(bare)) {
    bare = bare.replace(inBrackets, (_, inner) => (isAllowed(inner) ? allowedLicences[0] : '-'));
  }
  return bare
    .split(/\s+OR\s+/i)
    .some((offer) =>
      offer.split(/\s+AND\s+/i).every((one) => allowedLicences.includes(one.trim())),
    );
}

/** `license` as a text, or as old packages have it: an object, or a list of them. */
export function licenceOf({ license, licenses }) {
  if (typeof license === 'string') return license;
  if (typeof license?.type === 'string') return license.type;
  return Array.isArray(licenses) ? licenses.map(({ type }) => type).join(' OR ') : '';
}

export function pinningFaults({ dependencies = {}, devDependencies = {} }) {
  return Object.entries({ ...dependencies, ...devDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: "${version}" is not an exact version`);
}

export function sourceFaults(packages) {
  return Object.entries(packages).flatMap(([path, { integrity, link, resolved }]) => {
    if (path === '' || link === true) return [];
    const faults = [];
    // Without an address it comes from the registry that npm is set to; the hash decides what it is.
    if (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')) {
      faults.push(`${path}: comes from ${resolved}, not from the npm registry`);
    }
    if (!integrity?.startsWith('sha512-')) faults.push(`${path}: has no sha512 hash`);
    return faults;
  });
}

/** Packages that may go to Azure: not needed for development alone (`devOptional`: not alone). */
export function production(packages) {
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path, entry]) => ({ path, ...entry }));
}

export function productionFaults(packages, root = '.') {
  return production(packages).flatMap(({ hasInstallScript, path, ...entry }) => {
    const manifest = join(root, path, 'package.json');
    // Not installed: for another platform. What the lock says of it must do.
    const licence = licenceOf(existsSync(manifest) ? readJson(manifest) : entry);
    const faults = [];
    if (!isAllowed(licence)) faults.push(`${path}: its licence is "${licence}"`);
    if (hasInstallScript) faults.push(`${path}: runs a script when it is installed`);
    return faults;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { packages } = readJson('package-lock.json');
  const faults = [
    ...pinningFaults(readJson('package.json')),
    ...sourceFaults(packages),
    ...productionFaults(packages),
  ];
  for (const fault of faults) console.error(fault);
  const count = production(packages).length;
  console.log(`${count} packages are deployed, ${faults.length} faults`);
  process.exit(faults.length === 0 ? 0 : 1);
}
