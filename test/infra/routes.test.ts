// Goal: no HTTP route of the app is open by mistake. Each needs a key, or is in the table below with
// its reason and a test that shows it refuse whom it must refuse. That they do refuse is tried in
// fail-closed.test.ts.
import { appSettings, deploy, runJson } from './support/template';

interface Registered {
  readonly name: string;
  readonly bindings: readonly { readonly type: string; readonly authLevel?: string }[];
}

/** Functions that anybody may call: why, and the test that holds them to it. */
const anonymous: Readonly<Record<string, { readonly why: string; readonly test: string }>> = {};

/** HTTP functions that need no key and are not in the table. `admin` would need the master key. */
function openRoutes(functions: readonly Registered[], known: object): string[] {
  return functions
    .filter(({ bindings, name }) =>
      bindings.some(
        ({ authLevel, type }) =>
          type === 'httpTrigger' && authLevel !== 'function' && !(name in known),
      ),
    )
    .map(({ name }) => name);
}

describe('HTTP routes of the built app', () => {
  const registered = ['timer', 'durable'].flatMap((supervisor) =>
    runJson<Registered[]>(process.execPath, ['test/infra/support/print-triggers.cjs'], {
      PATH: process.env['PATH'],
      ...appSettings(deploy({ settings: `MILLRACE_SUPERVISOR=${supervisor}` })),
    }),
  );

  it('need a function key, or have a reason not to', () => {
    expect(registered.length).toBeGreaterThan(1);
    expect(openRoutes(registered, anonymous)).toEqual([]);
  });

  it('are in the table only while they exist', () => {
    const names = registered.map(({ name }) => name);
    expect(Object.keys(anonymous).filter((name) => !names.includes(name))).toEqual([]);
  });

  it('are found when they are open', () => {
    const http = (name: string, authLevel?: string): Registered => ({
      name,
      bindings: [{ type: 'httpTrigger', ...(authLevel !== undefined && { authLevel }) }],
    });
    const functions = [http('redrive', 'anonymous'), http('forgotten'), http('ingest', 'function')];
    expect(openRoutes(functions, {})).toEqual(['redrive', 'forgotten']);
    expect(openRoutes(functions, { redrive: {}, forgotten: {} })).toEqual([]);
  });
});
