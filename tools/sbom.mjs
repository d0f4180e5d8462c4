// The bill of materials of a release, as CycloneDX 1.6 JSON on standard output: every package that
// the bundle may contain, from package-lock.json. The same lockfile gives the same bytes.
// (npm's own `npm sbom --omit dev` leaves out packages that development needs as well.)
//   node tools/sbom.mjs > millrace.cdx.json
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { licenceOf, production } from './dependencies.mjs';

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

/** `sha512-<base64>` of a lockfile as CycloneDX has it. */
function hashOf(integrity) {
  const [, base64 = ''] = integrity.split('sha512-');
  return { alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') };
}

export function billOfMaterials(root = '.') {
  const { license, name, version } = readJson(join(root, 'package.json'));
  const { packages } = readJson(join(root, 'package-lock.json'));
  const components = production(packages).map(({ path, ...entry }) => {
    const manifest = readJson(join(root, path, 'package.json'));
    const reference = purl(manifest.name, entry.version);
    return {
      type: 'library',
      // One package may be there twice, in two folders.
      'bom-ref': `${reference}#${path}`,
      name: manifest.name,
      version: entry.version,
      purl: reference,
      licenses: [{ expression: licenceOf(manifest) }],
      hashes: [hashOf(entry.integrity)],
    };
  });
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': purl(name, version),
        name,
        version,
        licenses: [{ expression: license }],
      },
    },
    components,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(billOfMaterials(), null, 2));
}
