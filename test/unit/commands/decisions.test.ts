// Goal: plan, decide, begin, remove and rollback do over HTTP what they say, with exit codes that a pipeline can go
// by, and say what is wrong with what they were given.
// Method: the commands ask the handlers that an app registers, over a topology in memory.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command, CommanderError } from 'commander';
import type { CommandContext } from '../../../cli/command-context';
import { addDecisionCommands } from '../../../cli/decision-commands';
import type { FunctionApp } from '../../../functions/function-app';
import { registerDecisions } from '../../../functions/decisions';
import { minutes } from '../../../shared/dataflow';
import type { BuildIdentity } from '../../../shared/model/topology-plan';
import type { ShopShape } from '../../fixtures/topologies/shop';
import { newBuild, oldBuild, Shop, shopApp } from '../../support/shop';

const hourly = { sizeMs: minutes(60) };

interface Answer {
  readonly status?: number;
  readonly jsonBody?: unknown;
}

type Handler = (request: { json: () => Promise<unknown> }) => Promise<Answer>;

/** The routes that an app of that build has, on a port of this machine. */
async function serve(shop: Shop, build: BuildIdentity, shape: ShopShape): Promise<Server> {
  const handlers = new Map<string, Handler>();
  const http = (name: string, { handler }: { handler: Handler }): void => {
    handlers.set(`/api/${name}`, handler);
  };
  const { own, services } = shop.world.decisionWorld(build, shopApp(shape));
  registerDecisions({ http } as unknown as FunctionApp, { services, build, plans: [own] });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const json = async (): Promise<unknown> => JSON.parse(Buffer.concat(chunks).toString());
      const handler = handlers.get(request.url ?? '');
      const answer: Promise<Answer> = handler?.({ json }) ?? Promise.resolve({ status: 404 });
      answer
        .catch((error: unknown) => ({ status: 500, jsonBody: String(error) }))
        .then(
          ({ jsonBody, status = 200 }: Answer) => {
            response.writeHead(status, { 'content-type': 'application/json' });
            response.end(JSON.stringify(jsonBody ?? null));
          },
          () => undefined,
        );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('commands about plans', () => {
  let server: Server | undefined;
  let exitCode: typeof process.exitCode;

  beforeEach(() => {
    exitCode = process.exitCode;
  });

  afterEach(() => {
    process.exitCode = exitCode;
    server?.close();
    server?.closeAllConnections();
  });

  const run = async (
    ...line: string[]
  ): Promise<{ code: unknown; text: string; json: unknown }> => {
    const said: { text: string; json: unknown } = { text: '', json: null };
    const output = {
      result: (json: unknown, text: string) => Object.assign(said, { json, text }),
      progress: () => undefined,
      say: () => undefined,
    };
    const program = new Command('millrace').exitOverride();
    const quiet = {
      writeErr: () => undefined,
      writeOut: (text: string) => void (said.text += text),
    };
    program.configureOutput(quiet);
    addDecisionCommands(program, {
      app: { topologies: shopApp() },
      output: () => output,
      location: () => ({ storage: '', hubs: '' }),
    } as unknown as CommandContext);
    for (const command of program.commands) command.exitOverride().configureOutput(quiet);
    process.exitCode = undefined;
    const { port } = server?.address() as AddressInfo;
    const on = line.includes('--help') ? [] : ['--on', `http://127.0.0.1:${port}`];
    try {
      await program.parseAsync([...line, ...on], { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
    }
    const code = process.exitCode;
    return { code, ...said };
  };

  it('exit with 0 where the plan is new, the same or compatible, and with 3 where somebody has to decide', async () => {
    const shop = new Shop();
    server = await serve(shop, newBuild, hourly);
    expect(await run('plan')).toMatchObject({ code: 0, json: [{ verdict: 'new' }] });
    await shop.halfDone(oldBuild);
    const needed = await run('plan', 'shop');
    expect(needed).toMatchObject({ code: 3, json: [{ verdict: 'decision', number: 1 }] });
    expect(needed.text).toContain('SOMEBODY HAS TO DECIDE');
    expect(needed.text).toContain('millrace decide shop new-version');
    server.close();
    server = await serve(shop, oldBuild, {});
    expect(await run('plan')).toMatchObject({ code: 0, json: [{ verdict: 'same' }] });
    server.close();
    server = await serve(shop, newBuild, { extra: true });
    expect(await run('plan')).toMatchObject({ code: 0, json: [{ verdict: 'compatible' }] });
  });

  it('say that control was lost, and not that nobody has run the topology', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    for (const { name } of await shop.world.objects.list('control/')) {
      await shop.world.objects.delete(name);
    }
    server = await serve(shop, newBuild, hourly);
    const lost = await run('plan');
    expect(lost).toMatchObject({ code: 3, json: [{ verdict: 'decision', version: 'v1' }] });
    expect(lost.text).toContain('which control/shop/plan/ does not have');
    server.close();
    server = await serve(shop, oldBuild, {});
    expect(await run('plan')).toMatchObject({ code: 0, json: [{ verdict: 'same' }] });
  });

  it('take decisions on an app that runs, with its code, and may be repeated', async () => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    server = await serve(shop, newBuild, hourly);
    const first = await run('decide', 'shop', 'new-version');
    expect(first.json).toMatchObject({ version: 'v2', isNew: true, underWay: { 'shop-kk': 3 } });
    expect(first.text).toContain('by-kk/sums: 4 keys were open, given up');
    expect(first.text).toContain('shop-kk: 3 events were under way, given up');
    const again = await run('decide', 'shop', 'new-version');
    expect(again.json).toMatchObject({ version: 'v2', isNew: false });
    expect(again.text).toContain('was decided before');
    await shop.halfDone(newBuild, hourly);
    await expect(run('rollback', 'shop')).rejects.toThrow(
      'millrace rollback shop --to old --new-version',
    );
    const back = await run('rollback', 'shop', '--to', 'old', '--new-version');
    expect(back.json).toMatchObject({ version: 'v3', isNew: true });
    await expect(run('begin', 'shop')).rejects.toThrow('is not drained');
    expect((await run('remove', 'shop')).json).toMatchObject({ version: 'v3', isNew: true });
    expect((await run('begin', 'shop')).json).toMatchObject({ version: 'v4', isNew: true });
  });

  it.each<[string, string[], string]>([
    ['a node that never was', ['remove', 'shop', 'moer'], 'never had moer'],
    ['a build that never ran', ['rollback', 'shop', '--to', 'none'], 'no build none has run shop'],
    ['a topology that the app lacks', ['begin', 'shpo'], 'no topology shpo; there is: shop'],
    ['another decision', ['decide', 'shop', 'old-version'], 'Allowed choices are new-version'],
    ['no topology', ['decide'], "missing required argument 'topology'"],
    ['an option that there is not', ['rollback', 'shop', '--back'], "unknown option '--back'"],
    ['the plan that runs already', ['decide', 'shop', 'new-version'], 'there is nothing to decide'],
  ])('refuse %s, and say what is wrong', async (_what, line, text) => {
    const shop = new Shop();
    await shop.halfDone(oldBuild);
    server = await serve(shop, oldBuild, {});
    await expect(run(...line)).rejects.toThrow(text);
  });

  it('refuse a body that is none of theirs', async () => {
    server = await serve(new Shop(), oldBuild, {});
    const { port } = server.address() as AddressInfo;
    const post = async (body: string): Promise<[number, unknown]> => {
      const address = `http://127.0.0.1:${port}/api/decisions`;
      const response = await fetch(address, { method: 'POST', body });
      return [response.status, await response.json()];
    };
    expect(await post('{')).toEqual([400, { error: 'the body is not JSON' }]);
    const [status, answer] = await post('{"topology":"shop","decision":{"kind":"forget"}}');
    expect(status).toBe(400);
    expect(JSON.stringify(answer)).toContain('the body/decision');
    const nobody = await post('{"topology":"shop","decision":{"kind":"remove"}}');
    expect(nobody[0]).toBe(400);
    expect(JSON.stringify(nobody[1])).toContain('nobody has run shop');
  });

  it.each(['plan', 'decide', 'begin', 'remove', 'rollback'])(
    '%s tells how it is used',
    async (name) => {
      server = await serve(new Shop(), oldBuild, {});
      const { text } = await run(name, '--help');
      expect(text).toContain(`Usage: millrace ${name}`);
      expect(text).toContain('--on <address>');
    },
  );
});
