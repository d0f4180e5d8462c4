// Goal: an app of one's own runs the engine with its own topologies, and hears at once what is wrong.
// Method: `registerMillrace` with an `app` that remembers what was registered. Nothing connects.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { FunctionApp } from '../../../functions/function-app';
import { registerMillrace } from '../../../functions/register';
import { topology } from '../../../shared/dataflow';

const appDirectory = mkdtempSync(join(tmpdir(), 'millrace-app-'));
writeFileSync(join(appDirectory, 'host.json'), '{"version":"2.0"}');
afterAll(() => rmSync(appDirectory, { recursive: true, force: true }));

const reading = Type.Object({ id: Type.Integer(), time: Type.Integer() });
const mine = (name: string, hub: string) =>
  topology(name, (t) => {
    t.source(hub, { schema: reading, eventTime: (event) => event.time }).toLake(`${name}_rows`, {
      schema: reading,
    });
  });

const environment = {
  LakeStorage: 'UseDevelopmentStorage=true',
  EventHubConnection:
    'Endpoint=sb://localhost;SharedAccessKeyName=all;SharedAccessKey=aaaa;UseDevelopmentEmulator=true;',
  MILLRACE_SUPERVISOR: 'timer',
};

interface Registered {
  readonly kind: string;
  readonly name: string;
  readonly hub: unknown;
}

function recordingApp(): { app: FunctionApp; registered: Registered[] } {
  const registered: Registered[] = [];
  const note =
    (kind: string) =>
    (name: string, options: { eventHubName?: unknown }): void => {
      registered.push({ kind, name, hub: options.eventHubName ?? null });
    };
  const app = { eventHub: note('eventHub'), http: note('http'), timer: note('timer') };
  return { app: app as unknown as FunctionApp, registered };
}

it('registers a trigger for each stage of the topologies that it is given, and for no other', () => {
  const { app, registered } = recordingApp();
  registerMillrace(app, {
    topologies: [mine('meters', 'meter-readings'), mine('valves', 'valve-readings')],
    environment,
    appDirectory,
  });
  expect(registered.filter(({ kind }) => kind === 'eventHub').map(({ hub }) => hub)).toEqual([
    'meter-readings',
    'valve-readings',
  ]);
  expect(registered.filter(({ kind }) => kind !== 'eventHub').map(({ name }) => name)).toEqual([
    'plans',
    'decisions',
    'supervisor',
    'tend',
  ]);
});

it('refuses a setting that names none of its topologies, and registers nothing', () => {
  const { app, registered } = recordingApp();
  const asked = (): void =>
    registerMillrace(app, {
      topologies: [mine('meters', 'meter-readings')],
      environment: { ...environment, MILLRACE_TOPOLOGIES: 'flights' },
      appDirectory,
    });
  expect(asked).toThrow('MILLRACE_TOPOLOGIES names "flights"; there is: meters');
  expect(registered).toEqual([]);
});
