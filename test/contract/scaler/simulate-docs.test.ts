// Goal: what docs/SIMULATE.md shows is what its commands print.
// Method: each console block is run with the built command and compared to the letter.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(__dirname, '../../..');
const prompt = '$ npm run -s millrace -- ';

const examples = Array.from(
  readFileSync(join(repository, 'docs/SIMULATE.md'), 'utf8').matchAll(/```console\n([\s\S]*?)```/g),
  ([, block = '']) => {
    const [line = '', ...shown] = block.replace(/ \\\n +/g, ' ').split('\n');
    return [line.replace(prompt, ''), shown.join('\n')] as const;
  },
);

describe('docs/SIMULATE.md', () => {
  it('has examples up to a million events per second', () => {
    expect(examples.length).toBeGreaterThanOrEqual(3);
    expect(examples.some(([command]) => command.includes('--peak 1000000'))).toBe(true);
  });

  it.each(examples)('%s', (command, shown) => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(repository, 'dist/cli/millrace.js'), ...command.split(' ')],
      { encoding: 'utf8', cwd: repository },
    );
    expect(status).toBe(0);
    expect(stdout).toBe(shown);
  });

  it('shows the picture that its example draws', () => {
    const picture = readFileSync(join(repository, 'docs/images/simulate.svg'), 'utf8');
    expect(picture).toContain('ramp: up to 1,000,000 events/s, 1000 partitions');
  });
});
