// Goal: no credential is tracked, nothing is deployed under a licence or from a place that the rules
// do not know, and a release's bill of materials has all of it. The rules are tried on breaches too.
import { execFileSync } from 'node:child_process';
import { readJson, repository } from './support/template';
import * as dependencies from '../../tools/dependencies.mjs';
import { billOfMaterials } from '../../tools/sbom.mjs';
import { scan, secretsIn } from '../../tools/secrets.mjs';

const lock = readJson<{ packages: Record<string, dependencies.LockEntry> }>('package-lock.json');
const manifest = readJson<dependencies.Manifest>('package.json');

describe('credentials', () => {
  it('are in no tracked file', () => {
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: repository, encoding: 'utf8' });
    const paths = listed.split('\0').filter((path) => path !== '');
    expect(paths.length).toBeGreaterThan(200);
    expect(scan(paths)).toEqual([]);
  });

  // Put together here, so that this file has none.
  it.each([
    ['private key', ['-----BEGIN RSA ', 'PRIVATE KEY-----'].join('')],
    ['storage account key', `${'Ab1+'.repeat(21)}Ab==`],
    ['shared access key', ['Endpoint=sb://n/;SharedAccess', `Key=${'k'.repeat(43)}=`].join('')],
    ['shared access signature', ['https://a/b?sv=1&si', `g=${'A1b2'.repeat(10)}`].join('')],
    ['client secret of Entra', ['abc8', `Q~${'x'.repeat(34)}`].join('')],
    ['token of GitHub', ['gh', `p_${'a1'.repeat(18)}`].join('')],
    ['token of npm', ['np', `m_${'a1'.repeat(18)}`].join('')],
    ['key of AWS', ['AK', `IA${'A1'.repeat(8)}`].join('')],
    ['token of Slack', ['xo', 'xb-1234567890-abc'].join('')],
    ['signed token (JWT)', ['eyJhbGciOiJIUzI1', '.eyJzdWIiOiIxMjM0', '.c2lnbmF0dXJl'].join('')],
    ['function key in an address', ['https://a/api/b?co', `de=${'a1-_'.repeat(12)}==`].join('')],
  ])('are found: a %s', (kind, text) => {
    expect(secretsIn(`first line\n  ${text}\n`)).toContainEqual({ line: 2, kind });
  });

  it('are not those public ones of the emulators, nor hashes of packages', () => {
    expect(secretsIn('AccountName=a;AccountKey=${KEY};SharedAccessKey=SAS_KEY_VALUE;')).toEqual([]);
    expect(secretsIn(`"integrity": "sha512-${'Ab1+'.repeat(21)}Ab=="`)).toEqual([]);
  });
});

describe('dependencies', () => {
  it('keep the rules', () => {
    expect(dependencies.pinningFaults(manifest)).toEqual([]);
    expect(dependencies.sourceFaults(lock.packages)).toEqual([]);
    expect(dependencies.productionFaults(lock.packages, repository)).toEqual([]);
    expect(dependencies.production(lock.packages).length).toBeGreaterThan(50);
  });

  it('are refused with a range, from elsewhere, without a hash, with a script, with a strange licence', () => {
    expect(dependencies.pinningFaults({ dependencies: { a: '^1.0.0' } })).toHaveLength(1);
    const faults = dependencies.sourceFaults({
      'node_modules/a': { version: '1.0.0', resolved: 'git+ssh://git@example.org/a.git' },
      'node_modules/b': { version: '1.0.0', integrity: 'sha1-abc' },
    });
    expect(faults).toHaveLength(3);
    const strange = { version: '1.0.0', license: 'GPL-3.0-only', hasInstallScript: true };
    expect(dependencies.productionFaults({ 'node_modules/c': strange }, '/nowhere')).toEqual([
      'node_modules/c: its licence is "GPL-3.0-only"',
      'node_modules/c: runs a script when it is installed',
    ]);
    expect(dependencies.productionFaults({ 'node_modules/d': { ...strange, dev: true } })).toEqual(
      [],
    );
  });

  it('count as deployed when development and something deployed may need them', () => {
    const both = { 'node_modules/e': { devOptional: true }, 'node_modules/f': { dev: true } };
    expect(dependencies.production(both).map(({ path }) => path)).toEqual(['node_modules/e']);
  });

  it('may offer a licence of the list, and must offer nothing else with it', () => {
    expect(dependencies.isAllowed('(GPL-2.0 OR MIT)')).toBe(true);
    expect(dependencies.isAllowed('MIT AND GPL-2.0')).toBe(false);
    expect(dependencies.isAllowed('')).toBe(false);
    expect(dependencies.isAllowed('(MIT OR BSD-3-Clause) AND ISC')).toBe(true);
    expect(dependencies.isAllowed('(MIT OR Apache-2.0) AND GPL-2.0')).toBe(false);
    expect(dependencies.isAllowed('((GPL-2.0 AND MIT) OR ISC)')).toBe(true);
  });
});

describe('the bill of materials', () => {
  it('has every package that may be deployed, with version, licence and hash', () => {
    const { bomFormat, components } = billOfMaterials(repository);
    expect(bomFormat).toBe('CycloneDX');
    const listed = components.map(({ name, version }) => `${name}@${version}`);
    for (const { path, version } of dependencies.production(lock.packages)) {
      expect(listed).toContain(`${path.split('node_modules/').at(-1)}@${version}`);
    }
    for (const name of Object.keys(manifest.dependencies)) {
      expect(listed.some((one) => one.startsWith(`${name}@`))).toBe(true);
    }
    for (const { hashes, licenses } of components) {
      expect(hashes[0]?.content).toMatch(/^[0-9a-f]{128}$/);
      expect(dependencies.isAllowed(licenses[0]?.expression ?? '')).toBe(true);
    }
    expect(new Set(components.map((one) => one['bom-ref'])).size).toBe(components.length);
  });
});
