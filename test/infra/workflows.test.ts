// Goal: the workflows have the least rights, run what exists, and let nobody's text become a command
// or another variable.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { read, readJson, repository } from './support/template';

describe('workflows', () => {
  interface Workflow {
    readonly on: unknown;
    readonly permissions: Readonly<Record<string, string>>;
    readonly jobs: Readonly<
      Record<
        string,
        {
          readonly 'timeout-minutes': number;
          readonly steps: readonly {
            readonly uses?: string;
            readonly run?: string;
            readonly with?: Readonly<Record<string, unknown>>;
          }[];
          readonly strategy?: { readonly matrix: { readonly node: readonly number[] } };
        }
      >
    >;
  }
  const files = readdirSync(join(repository, '.github/workflows'));
  const workflows = new Map(
    files.map((file) => [file, parse(read(`.github/workflows/${file}`)) as Workflow]),
  );

  it('test every Node version that the package says it runs on', () => {
    const job = workflows.get('ci.yml')?.jobs['test'];
    expect(job?.strategy?.matrix.node).toEqual([20, 22, 24]);
    expect(job?.steps.at(-1)?.run).toBe('npm test');
  });

  it('have the least rights, a time limit, and actions pinned to commits', () => {
    expect(workflows.get('ci.yml')?.permissions).toEqual({ contents: 'read' });
    expect(workflows.get('release.yml')?.permissions).toEqual({ contents: 'write' });
    expect(workflows.get('deploy.yml')?.permissions).toEqual({
      contents: 'read',
      'id-token': 'write',
    });
    for (const { jobs } of workflows.values()) {
      for (const job of Object.values(jobs)) {
        expect(job['timeout-minutes']).toBeGreaterThan(0);
        for (const { uses } of job.steps)
          if (uses !== undefined) expect(uses).toMatch(/@[0-9a-f]{40}$/);
      }
    }
  });

  const steps = Array.from(workflows.values()).flatMap(({ jobs }) =>
    Object.values(jobs).flatMap((job) => job.steps),
  );

  it('leave no token in the repository that they check out', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    expect(checkouts.length).toBeGreaterThan(3);
    for (const { with: options } of checkouts) {
      expect(options).toMatchObject({ 'persist-credentials': false });
    }
  });

  it('put nothing that somebody else wrote into a command: it comes as a variable', () => {
    for (const { run = '' } of steps) expect(run).not.toContain('${{');
  });

  const taking = steps.find(({ run }) => run?.includes('GITHUB_ENV'))?.run ?? '';
  const hasPrograms = ['jq', 'openssl', 'bash'].every(
    (program) => spawnSync(program, ['--version']).error === undefined,
  );
  (hasPrograms ? it : it.skip)(
    'take a variable over whole: no line in its value becomes another variable',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-variables-'));
      try {
        const file = join(folder, 'env');
        const variables = {
          MILLRACE_ONE: 'a\nNODE_OPTIONS=--require=/tmp/evil.js\nEOF\nPATH=/tmp',
          MILLRACE_TWO: 'plain "text" $HOME `id`',
          OTHER: 'not taken',
        };
        const { status, stderr } = spawnSync('bash', ['-e', '-c', taking], {
          env: { ...process.env, GITHUB_ENV: file, VARIABLES: JSON.stringify(variables) },
          encoding: 'utf8',
        });
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        const { MILLRACE_ONE, MILLRACE_TWO } = variables;
        expect(variablesIn(readFileSync(file, 'utf8'))).toEqual({ MILLRACE_ONE, MILLRACE_TWO });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  /** As a runner reads the file: `name=value`, or `name<<end` with the lines up to that end. */
  function variablesIn(text: string): Record<string, string> {
    const found: Record<string, string> = {};
    const lines = text.split('\n');
    for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
      const [, name = '', end = ''] = /^(\w+)<<(.+)$/.exec(line) ?? [];
      if (end !== '') {
        expect(end.length).toBeGreaterThan(30);
        const length = lines.indexOf(end);
        found[name] = lines
          .splice(0, length + 1)
          .slice(0, -1)
          .join('\n');
      } else if (line !== '') {
        const [, plain = line, value = ''] = /^(.*?)=(.*)$/.exec(line) ?? [];
        found[plain] = value;
      }
    }
    return found;
  }

  it('say which version each commit is', () => {
    for (const file of files) {
      for (const line of read(`.github/workflows/${file}`).split('\n')) {
        if (line.includes('uses:')) expect(line).toMatch(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
      }
    }
  });

  it('are trusted by Entra as docs/DEPLOY.md says: by environment where a job names one', () => {
    expect(read('.github/workflows/deploy.yml')).toContain(
      'environment: ${{ inputs.environment }}',
    );
    const [, trust = '{}'] = read('docs/DEPLOY.md').match(/--parameters '(\{.*\})'/) ?? [];
    expect(JSON.parse(trust)).toMatchObject({
      issuer: 'https://token.actions.githubusercontent.com',
      subject: expect.stringMatching(/^repo:OWNER\/REPO:environment:\w+$/),
    });
  });

  it('run only scripts that exist, and hold no secret', () => {
    const { scripts } = readJson<{ scripts: Record<string, string> }>('package.json');
    for (const file of files) {
      const text = read(`.github/workflows/${file}`);
      expect(text).not.toMatch(/secrets\./);
      for (const [, script] of text.matchAll(/npm run (\S+)/g)) {
        expect(Object.keys(scripts)).toContain(script);
      }
      for (const [, tool] of text.matchAll(/node (tools\/\S+)/g)) {
        expect(existsSync(join(repository, tool ?? ''))).toBe(true);
      }
    }
  });

  it('check credentials and dependencies before they test, and release a bill of materials', () => {
    for (const file of ['ci.yml', 'release.yml']) {
      const text = read(`.github/workflows/${file}`);
      expect(text.indexOf('npm run security')).toBeGreaterThan(0);
      expect(text.indexOf('npm run security')).toBeLessThan(text.indexOf('npm test'));
    }
    expect(read('.github/workflows/release.yml')).toContain(
      'node tools/sbom.mjs > release/millrace.cdx.json',
    );
  });
});
