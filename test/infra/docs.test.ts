// Goal: what the pages on deploying, scaling and rights say is what the code and the template do.
import { pathToFileURL } from 'node:url';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { hubFunctionNames, partitionCount } from '../conformance/app/names';
import { compileAppSettings, settingsSpec } from '../../shared/config/settings';
import { defaultStageLimits } from '../../shared/task/services';
import { read, readJson, repository, runJson, template } from './support/template';

/** The cells of a page's table rows, by what a row begins with. */
function rows(page: string, begins: RegExp): string[][] {
  return read(page)
    .split('\n')
    .filter((line) => line.startsWith('|') && begins.test(line.slice(1).trim()))
    .map((line) =>
      line
        .replaceAll('\\|', '/')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

interface SimulationSummary {
  readonly instances: { readonly peak: number };
  readonly lagSeconds: { readonly max: number };
  readonly eventHubs: readonly {
    readonly tier: string;
    readonly unit: string;
    readonly units: number;
  }[];
  readonly cost: { readonly eventHubsTier: string; readonly usdPerMillionEvents: number };
}

const defaultOf = (name: string): unknown => template.parameters?.[name]?.defaultValue;
const eventHubs = readJson<{ extensions: { eventHubs: Record<string, number> } }>('host.json')
  .extensions.eventHubs;

describe('docs/DEPLOY.md', () => {
  it('lists every setting with its default and meaning', () => {
    const described = new Map(
      Object.values(settingsSpec).map(({ description, environment }) => [environment, description]),
    );
    const expected = Object.entries(
      readJson<Record<string, string>>('infra/generated/settings.json'),
    );
    expect(rows('docs/DEPLOY.md', /^`MILLRACE_/)).toEqual(
      expected.map(([name, value]) => [
        `\`${name}\``,
        value === '' ? '' : `\`${value}\``,
        described.get(name),
      ]),
    );
  });

  it('needs five commands at most for each way', () => {
    const ways = read('docs/DEPLOY.md').split(/^## /m).slice(1, 5);
    expect(ways.map((way) => way.split('\n')[0])).toEqual([
      'One click',
      'azd',
      'Core Tools',
      'Container',
    ]);
    for (const way of ways) {
      const blocks = Array.from(way.matchAll(/^```\n([\s\S]*?)^```/gm), ([, lines]) => lines ?? '');
      for (const block of blocks) expect(block.trim().split('\n').length).toBeLessThanOrEqual(5);
    }
  });

  it('uses environment names that main.parameters.json reads', () => {
    const known = read('infra/main.parameters.json');
    for (const page of ['docs/DEPLOY.md', 'docs/UNVERIFIED.md']) {
      for (const [, name] of read(page).matchAll(/azd env set (\w+)/g)) {
        expect(known).toContain(`\${${name}=`);
      }
    }
  });
});

describe('docs/SCALING.md', () => {
  const tool = pathToFileURL(resolve(repository, 'tools/cost.mjs')).href;

  it('has the sums that the calculator comes to', () => {
    const printed = rows('docs/SCALING.md', /^[\d,]+ +\|/);
    expect(printed.length).toBeGreaterThan(5);
    const number = (text: string | undefined): number => Number(text?.replaceAll(',', ''));
    const loads = printed.map(([rate, partitions, wait]) => ({
      rate: number(rate),
      partitions: number(partitions),
      wait: number(wait),
    }));
    const results = runJson<{ units: number; lines: Record<string, number>; total: number }[]>(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { monthly } from ${JSON.stringify(tool)}; console.log(JSON.stringify(${JSON.stringify(loads)}.map((load) => monthly(load))));`,
      ],
    );
    results.forEach(({ lines, total, units }, index) => {
      const sum = (...names: string[]): number =>
        Math.round(names.reduce((dollars, name) => dollars + (lines[name] ?? NaN), 0));
      expect(printed[index]?.slice(3).map(number)).toEqual([
        units,
        sum('eventHubUnits', 'eventHubIngress'),
        sum('compute'),
        sum('executions', 'checkpoints', 'commits'),
        sum('rowsKept', 'logs'),
        Math.round(total),
      ]);
      // What Standard sells.
      expect(units).toBeLessThanOrEqual(40);
    });
  });

  it('has the loads that the simulation comes to, up to a million events a second', () => {
    const loads = rows('docs/SCALING.md', /^`--profile /);
    expect(loads.some(([load]) => load?.includes('--peak 1000000'))).toBe(true);
    for (const [load = '', ...printed] of loads) {
      const { summary } = runJson<{ summary: SimulationSummary }>(process.execPath, [
        ...['dist/cli/millrace.js', '--json', 'simulate'],
        ...load.replaceAll('`', '').split(' '),
      ]);
      const { cost, eventHubs: tiers, instances, lagSeconds } = summary;
      const cheapest = tiers.find(({ tier }) => tier === cost.eventHubsTier);
      expect([load, ...printed]).toEqual([
        ...[load, String(instances.peak), String(Math.round(lagSeconds.max))],
        `${cheapest?.units} ${cheapest?.unit}, ${cheapest?.tier}`,
        cost.usdPerMillionEvents.toFixed(4),
      ]);
    }
  }, 60_000);

  it('has the prices that the calculator takes', () => {
    const prices = runJson<Record<string, number>>(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { prices } from ${JSON.stringify(tool)}; console.log(JSON.stringify(prices));`,
    ]);
    expect(rows('docs/SCALING.md', /^p_/).map(([, , price]) => Number(price))).toEqual(
      Object.entries({
        p_unit: prices['throughputUnitHour'],
        p_in: prices['millionIngressEvents'],
        p_cap: prices['captureUnitHour'],
        p_gbs: prices['gigabyteSecond'],
        p_exec: prices['millionExecutions'],
        p_check: prices['tenThousandCheckpointWrites'],
        p_write: prices['tenThousandLakeWrites'],
        p_lake: prices['lakeGigabyteMonth'],
        p_log: prices['logGigabyte'],
      }).map(([, price]) => price),
    );
  });

  it('says the defaults of template and host.json', () => {
    const said = new Map(rows('docs/SCALING.md', /^\S/).map(([what, , value]) => [what, value]));
    expect(said.get('most instances per trigger')).toBe(String(defaultOf('maximumInstanceCount')));
    expect(said.get('memory of an instance')).toBe(String(defaultOf('instanceMemoryMB')));
    expect(said.get('partitions')).toBe(String(defaultOf('partitionCount')));
    expect(said.get('seconds a batch waits to be full')).toBe(
      String(defaultOf('batchWaitSeconds')),
    );
    expect(said.get('T, events behind per instance')).toBe(
      String(eventHubs['targetUnprocessedEventThreshold']),
    );
    expect(said.get('events of a batch')).toBe(
      `${eventHubs['maxEventBatchSize']}, ${eventHubs['prefetchCount']}`,
    );
    expect(said.get('throughput units')).toBe(
      `${String(defaultOf('eventHubsCapacity'))}, up to ${String(defaultOf('eventHubsMaximumThroughputUnits'))}`,
    );
  });
});

describe('docs/SECURITY.md', () => {
  it('states the limits that are in force', () => {
    const limits = new Map(
      rows('docs/SECURITY.md', /^\S/).map(([what, limit]) => [what, limit ?? '']),
    );
    const beginsWith = (what: string, value: unknown): void => {
      const said = limits.get(what)?.replaceAll(',', '') ?? '';
      expect([what, said.split(/[ ;]/)[0]]).toEqual([what, String(value)]);
    };
    beginsWith('events of a batch', eventHubs['maxEventBatchSize']);
    beginsWith('one commit', defaultStageLimits.log.blockBytesMax / 2 ** 20);
    beginsWith('keyed state of a task', compileAppSettings({}).stateBytesMax / 1e6);
    beginsWith("commits of a log's generation", defaultStageLimits.log.blocksMax);
    beginsWith('kept log after it is not needed', defaultStageLimits.logRetentionMs / 86_400_000);
    beginsWith('instances per trigger', defaultOf('maximumInstanceCount'));
    beginsWith('units that inflate by themselves', defaultOf('eventHubsMaximumThroughputUnits'));
    beginsWith('logs a day', defaultOf('logDailyQuotaGb'));
    beginsWith('events kept for a standing app', defaultOf('retentionHours'));
  });

  it('names every role that is given', () => {
    const page = read('docs/SECURITY.md');
    for (const [, role] of read('test/infra/rights.test.ts').matchAll(/': '([A-Z][\w ]+)',$/gm)) {
      expect(page).toContain(role);
    }
  });
});

describe('docs/FUNC-START.md', () => {
  const page = 'docs/FUNC-START.md';

  it('gives every value of host.json, and no other', () => {
    const leaves = (value: unknown, path: string): [string, string][] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([name, inner]) =>
            leaves(inner, path === '' ? name : `${path}.${name}`),
          )
        : [[path, String(value)]];
    const written = rows(page, /^`(?:version|functionTimeout|\w+\.[\w.]+)`/);
    expect(written.map(([name, value]) => [name, value]).sort()).toEqual(
      leaves(readJson('host.json'), '')
        .map(([name, value]) => [`\`${name}\``, `\`${value}\``])
        .sort(),
    );
  });

  it('names every local setting, and no other', () => {
    const table = read(page).split('| local.settings.json')[1]?.split('\n\n')[0] ?? '';
    const named = Array.from(table.matchAll(/^\| `(\w+)`/gm), ([, name]) => name);
    const { Values } = readJson<{ Values: object }>('local.settings.json');
    expect(named.sort()).toEqual(Object.keys(Values).sort());
    const { Values: values } = readJson<{ Values: Record<string, string> }>('local.settings.json');
    expect(read(page)).toContain(`--hubs "${values['EventHubConnection']}"`);
  });

  it('says how many checks there are, and makes a consumer group for each function', () => {
    const checks = ['durable', 'event-hubs', 'http-and-timer'].flatMap((name) =>
      readJson<unknown[]>(`test/conformance/checks/${name}.json`),
    );
    expect(read(page)).toContain(`\`${checks.length} passed, 0 failed\``);
    expect(read(page)).toContain(`for name in ${hubFunctionNames.join(' ')};`);
    expect(read(page)).toContain(`--partition-count ${partitionCount}\n`);
  });

  it('uses scripts that exist', () => {
    const { scripts } = readJson<{ scripts: Record<string, string> }>('package.json');
    const used = Array.from(read(page).matchAll(/npm run ([\w:]+)/g), ([, name]) => name);
    expect(used.length).toBeGreaterThan(4);
    for (const name of used) expect(Object.keys(scripts)).toContain(name);
  });
});

describe('README.md', () => {
  it('leads to the cloud in five commands at most', () => {
    const [, section = ''] = read('README.md').split(/^## On Azure$/m);
    const [, block = ''] = section.match(/^```\n([\s\S]*?)^```/m) ?? [];
    const commands = block.split(/\n|&&/).filter((line) => line.trim() !== '');
    expect(commands.map((one) => one.split('#')[0]?.trim())).toEqual([
      'azd auth login',
      'az login',
      'azd up',
    ]);
  });
});

describe('docs/UNVERIFIED.md', () => {
  const ids = Array.from(read('docs/UNVERIFIED.md').matchAll(/<a id="([\w-]+)">/g), ([, id]) => id);
  const pages = [
    'README.md',
    ...readdirSync(resolve(repository, 'docs'))
      .filter((name) => name.endsWith('.md') && name !== 'UNVERIFIED.md')
      .map((name) => `docs/${name}`),
  ];

  it('has a row for each thing that a page says was not run', () => {
    const links = pages.flatMap((page) =>
      Array.from(read(page).matchAll(/UNVERIFIED\.md#([\w-]+)/g), ([, id]) => [page, id] as const),
    );
    expect(links.length).toBeGreaterThan(12);
    expect(links.filter(([, id]) => !ids.includes(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
    const items = rows('docs/UNVERIFIED.md', /^(?!---|-|not run)/);
    expect(items.length).toBe(ids.length);
  });

  it('is linked wherever a page says that something was not run', () => {
    const unlinked = pages.flatMap((page) =>
      read(page)
        .split(/\n\n|\n(?=[-|])/)
        .filter((paragraph) =>
          /\bnot (?:been )?(?:run|tried|measured|verified)\b/i.test(
            paragraph.replaceAll('\n', ' '),
          ),
        )
        .filter((paragraph) => !paragraph.includes('UNVERIFIED.md'))
        .map((paragraph) => `${page}: ${paragraph.slice(0, 120)}`),
    );
    expect(unlinked).toEqual([]);
  });

  it('has a way to verify each thing', () => {
    const items = rows('docs/UNVERIFIED.md', /^(?!---|-|not run)/);
    expect(items.length).toBeGreaterThan(20);
    for (const [what, verify] of items)
      expect([what, (verify ?? '').length > 5]).toEqual([what, true]);
  });
});
