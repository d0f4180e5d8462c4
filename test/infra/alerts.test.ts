// Goal: every alert and every chart looks at something that the platform or the app really says.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { noteKinds } from '../../shared/supervision/plan-cycle';
import { cycleEvent } from '../../shared/supervision/supervisor-report';
import { lineTelemetry } from '../../shared/telemetry/line-telemetry';
import type { Resource } from './support/deploy-template';
import { appSettings, deploy, ofType, properties, read, repository } from './support/template';

const withMail = deploy({ alertEmail: 'operator@example.org', captureEnabled: true });

interface LogRule {
  readonly criteria: { readonly allOf: readonly { readonly query: string }[] };
  readonly actions: { readonly actionGroups?: readonly string[] };
}

function emittedEvents(): Set<string> {
  const texts = ['shared', 'functions'].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(repository, folder, name), 'utf8')),
  );
  const calls = texts.join('\n').matchAll(/emit\(\s*'\w+',\s*'([\w.-]+)'/g);
  const literal = Array.from(calls, ([, event]) => event ?? '');
  expect(texts.join('\n')).toMatch(/emit\('info', cycleEvent,/);
  expect(texts.join('\n')).toMatch(/emit\(level, `supervisor\.\$\{kind\}`,/);
  return new Set([...literal, cycleEvent, ...noteKinds.map((kind) => `supervisor.${kind}`)]);
}

/** What an alert is called, in its resource's name between the product and the environment. */
const alertOf = (name: string): string =>
  name.replace(/^millrace-/, '').replace(/-abcdefghijklm$/, '');

const eventsIn = (text: string): string[] =>
  Array.from(text.matchAll(/event\)? == ["']([\w.-]+)["']/g), ([, event]) => event ?? '');

describe('alerts', () => {
  it('watch log lines that the engine emits', () => {
    const queries = ofType(withMail, 'Microsoft.Insights/scheduledQueryRules').map((rule) =>
      properties<LogRule>(rule)
        .criteria.allOf.map(({ query }) => query)
        .join(),
    );
    const watched = queries.flatMap(eventsIn);
    expect(watched.sort()).toEqual([
      'ledger.unbalanced',
      'sink.opened',
      'supervisor.cycle',
      'supervisor.marked',
      'supervisor.replace',
      'supervisor.survey-failed',
      'task.behind',
      'task.dead-letters',
      'task.gap',
      'task.quarantine',
      'task.stalled',
      'tend.failed',
    ]);
    expect(Array.from(emittedEvents())).toEqual(expect.arrayContaining(watched));
  });

  it('find the lines by how they begin', () => {
    const written: string[] = [];
    const telemetry = lineTelemetry({
      write: (_level, line) => written.push(line),
      clock: { nowMs: () => 0 },
      minimumLevel: 'info',
    });
    telemetry.emit('warn', 'task.behind', { lagMs: 1 });
    const prefix = read('infra/modules/alerts.bicep').match(/startswith '([^']+)'/)?.[1];
    expect(written[0]?.startsWith(prefix ?? 'no prefix')).toBe(true);
  });

  it('turn minutes into the milliseconds that the lines carry', () => {
    const rules = ofType(deploy({ lagAlertMinutes: 3 }), 'Microsoft.Insights/scheduledQueryRules');
    expect(JSON.stringify(rules.find(({ name }) => alertOf(name) === 'lag'))).toContain(
      'tolong(line.lagMs) > 180000',
    );
  });

  it('tell of lost messages by the count that the line carries, not by what was found', () => {
    const rules = ofType(deploy(), 'Microsoft.Insights/scheduledQueryRules');
    const lost = JSON.stringify(rules.find(({ name }) => alertOf(name) === 'lost'));
    expect(lost).toContain('tolong(line.lostMessages) > 0');
    expect(read('shared/task/next-range.ts')).toContain('lostMessages:');
  });

  it('notice a supervisor that is silent for longer than many of its periods', () => {
    const rules = ofType(withMail, 'Microsoft.Insights/scheduledQueryRules');
    const silence = rules.find(({ name }) => alertOf(name) === 'silence');
    const { criteria, windowSize } = properties<LogRule & { windowSize: string }>(
      silence as Resource,
    );
    expect(criteria.allOf).toMatchObject([{ operator: 'LessThan', threshold: 1 }]);
    const windowMs = Number(windowSize.match(/^PT(\d+)M$/)?.[1]) * 60_000;
    const periodMs = Number(appSettings(deploy())['MILLRACE_SUPERVISOR_PERIOD_MS']);
    expect(windowMs).toBeGreaterThan(20 * periodMs);
    // What the page says of longer periods.
    expect(read('docs/OPERATING.md')).toContain(`${windowMs / 60_000} minutes`);
  });

  it('are those that docs/OPERATING.md explains, with their lines and metrics', () => {
    const explained = read('docs/OPERATING.md')
      .split('\n')
      .flatMap((line) => {
        const cells = line.split('|').map((cell) => cell.trim());
        const [, name = '', severity, looksAt = ''] = cells;
        return /^\d$/.test(severity ?? '')
          ? [[name.replaceAll('`', ''), Number(severity), looksAt] as const]
          : [];
      });
    const made = [
      ...ofType(withMail, 'Microsoft.Insights/scheduledQueryRules'),
      ...ofType(withMail, 'Microsoft.Insights/metricAlerts'),
    ].map((rule) => {
      const { criteria, severity } = properties<{ severity: number; criteria: object }>(rule);
      const text = JSON.stringify(criteria).replaceAll('\\"', '"');
      const metric = text.match(/"metricName":"(\w+)"/)?.[1];
      const looksAt = metric === undefined ? eventsIn(text) : [metric];
      return [alertOf(rule.name), severity, looksAt] as const;
    });
    expect(explained.map(([name]) => name).sort()).toEqual(made.map(([name]) => name).sort());
    for (const [name, severity, looksAt] of made) {
      const row = explained.find(([one]) => one === name);
      expect([name, row?.[1]]).toEqual([name, severity]);
      for (const one of looksAt)
        expect([name, row?.[2]]).toEqual([name, expect.stringContaining(one)]);
    }
  });

  it('watch the limits of the namespace', () => {
    const metrics = ofType(withMail, 'Microsoft.Insights/metricAlerts').map(
      (rule) => JSON.stringify(properties(rule)).match(/"metricName":"(\w+)"/)?.[1],
    );
    expect(metrics).toEqual([
      'ThrottledRequests',
      'QuotaExceededErrors',
      'ServerErrors',
      'CaptureBacklog',
    ]);
  });

  it('reach a person who is named, and nobody else', () => {
    for (const rule of ofType(withMail, 'Microsoft.Insights/scheduledQueryRules')) {
      expect(properties<LogRule>(rule).actions.actionGroups).toHaveLength(1);
    }
    expect(ofType(withMail, 'Microsoft.Insights/actionGroups')).toHaveLength(1);
    expect(ofType(deploy(), 'Microsoft.Insights/actionGroups')).toEqual([]);
    for (const rule of ofType(deploy(), 'Microsoft.Insights/scheduledQueryRules')) {
      expect(properties<LogRule>(rule).actions).toEqual({});
    }
  });
});

describe('the workbook', () => {
  it('charts log lines that the engine emits', () => {
    const workbook = JSON.parse(read('infra/workbook.json')) as {
      items: { content: { query?: string } }[];
    };
    const charted = workbook.items.flatMap(({ content }) => eventsIn(content.query ?? ''));
    expect(charted).toEqual([
      'task.behind',
      'task.dead-letters',
      'ledger.unbalanced',
      'supervisor.cycle',
      'table.flushed',
    ]);
    expect(Array.from(emittedEvents())).toEqual(expect.arrayContaining(charted));
  });
});
