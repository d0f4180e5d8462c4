/** `npm run conformance`: the checks of test/conformance/checks against a host at an address. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Check, JsonSchema } from './check';
import { Host } from './host';
import { perform } from './perform';

const help = `Checks that a Functions host behaves as Millrace's local host says it does.

  npm run conformance -- --host http://localhost:7071

First the app that it looks through must run there (docs/FUNC-START.md):
  npm run conformance -- --build     writes it to .millrace/conformance

  --host URL       where the conformance app runs
  --key KEY        its function key, in Azure (or CONFORMANCE_KEY)
  --only NAME      this check alone; may be given more than once
  --timeout N      seconds until something that must come is missing (60)
  --settle N       seconds to wait for what must not come (2)
  --list           the checks, with their rules and sources
  --json           one JSON object
  --help

Ends with 0 when every check passes, with 1 when one does not, with 2 when it cannot run.`;

const checksDirectory = 'test/conformance/checks';

function readChecks(): { readonly checks: readonly Check[]; readonly shapes: JsonSchema } {
  const readJson = (name: string): unknown =>
    JSON.parse(readFileSync(join(checksDirectory, name), 'utf8'));
  const files = readdirSync(checksDirectory).filter((name) => name !== 'shapes.json');
  return {
    checks: files.sort().flatMap((name) => readJson(name) as Check[]),
    shapes: readJson('shapes.json') as JsonSchema,
  };
}

interface Outcome {
  readonly name: string;
  readonly passed: boolean;
  readonly faults: readonly string[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      host: { type: 'string' },
      key: { type: 'string' },
      only: { type: 'string', multiple: true },
      timeout: { type: 'string', default: '60' },
      settle: { type: 'string', default: '2' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const say = (line: string): void => {
    if (!values.json) console.log(line);
  };
  if (values.help) {
    console.log(help);
    return 0;
  }
  const { checks, shapes } = readChecks();
  if (values.list) {
    for (const { name, source, what } of checks) console.log(`${name}: ${what} [${source}]`);
    return 0;
  }
  if (values.host === undefined) throw new Error('--host is missing; --help says more');
  const unknown = values.only?.filter((name) => !checks.some((check) => check.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`no check is called ${unknown.join(', ')}; see --list`);
  const host = new Host(values.host, values.key ?? process.env['CONFORMANCE_KEY'] ?? null);
  const outcomes: Outcome[] = [];
  for (const check of checks) {
    if (values.only?.includes(check.name) === false) continue;
    const faults = await perform(check, {
      host,
      shapes,
      timeoutMs: seconds('timeout', values.timeout),
      settleMs: seconds('settle', values.settle),
    });
    outcomes.push({ name: check.name, passed: faults.length === 0, faults });
    say(`${faults.length === 0 ? 'pass' : 'FAIL'}  ${check.name}: ${check.what}`);
    for (const fault of faults.slice(0, 10)) say(`      ${fault}`);
  }
  const failed = outcomes.filter(({ passed }) => !passed).length;
  if (values.json) console.log(JSON.stringify({ host: values.host, failed, outcomes }, null, 2));
  say(`${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function seconds(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number * 1000;
  throw new Error(`--${name} must be a number of seconds, is "${text}"`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  },
);
