import fc from 'fast-check';
import { readLog } from '../../../shared/commit-log/log-reader';
import { commitLogFaultPoints } from '../../../shared/commit-log/fault-points';
import { isTransient, StreamError } from '../../../shared/model/errors';
import type { AppendStore, ObjectStore } from '../../../shared/model/ports';
import { LogProcess, logPath, memoryStores, ProcessDied } from '../../support/log-world';

/**
 * Two writers on one log, every store call of theirs interleaved by a scheduler, with lost requests,
 * lost responses, requests that arrive late, deaths at fault points and rolls. Afterwards there is one history, each commit is
 * in it once, and all who read it agree.
 */
type Fault = 'none' | 'lost-request' | 'lost-response' | 'late-arrival';
type Action = 'commit' | 'roll' | 'restart' | 'catch-up';

interface Scenario {
  readonly actions: readonly [readonly Action[], readonly Action[]];
  readonly faults: readonly Fault[];
  readonly deaths: readonly { readonly point: string; readonly passing: number }[];
}

const action = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Action>('commit') },
  { weight: 2, arbitrary: fc.constant<Action>('roll') },
  fc.constantFrom<Action>('restart', 'catch-up'),
);
const actions = fc.array(action, { maxLength: 8 });

const scenario: fc.Arbitrary<Scenario> = fc.record({
  actions: fc.tuple(actions, actions),
  faults: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Fault>('none') },
      fc.constantFrom<Fault>('lost-request', 'lost-response', 'late-arrival'),
    ),
    { maxLength: 60 },
  ),
  deaths: fc.array(
    fc.record({
      point: fc.constantFrom(...commitLogFaultPoints),
      passing: fc.integer({ min: 1, max: 4 }),
    }),
    { maxLength: 3 },
  ),
});

/** Stores whose every call waits for its turn and may fail as told. */
function scheduled<Store extends AppendStore | ObjectStore>(
  store: Store,
  turn: (label: string) => Promise<void>,
  nextFault: () => Fault,
): Store {
  return new Proxy(store, {
    get(target, property) {
      const method = Reflect.get(target, property) as (...given: unknown[]) => Promise<unknown>;
      return async (...given: unknown[]) => {
        await turn(`${String(property)} begins`);
        const fault = nextFault();
        const lost = new StreamError('STREAM_STORE_UNAVAILABLE', fault);
        if (fault === 'lost-request') throw lost;
        if (fault === 'late-arrival') {
          // Given up by the caller, and carried out by the store some time after.
          void turn(`${String(property)} arrives late`).then(() => method.apply(target, given));
          throw lost;
        }
        const result = await method.apply(target, given);
        await turn(`${String(property)} ends`);
        if (fault === 'lost-response') throw lost;
        return result;
      };
    },
  });
}

class Writer {
  readonly name: string;
  readonly acknowledged: string[] = [];
  readonly #start: () => Promise<LogProcess>;
  #process: LogProcess | null = null;
  #commits = 0;

  constructor(name: string, start: () => Promise<LogProcess>) {
    this.name = name;
    this.#start = start;
  }

  async run(planned: readonly Action[]): Promise<void> {
    for (const next of planned) {
      try {
        await this.#perform(next);
      } catch (error) {
        if (!isTransient(error) && !(error instanceof ProcessDied)) throw error;
        // Died, or gave up: the next life knows nothing but the log.
        this.#process = null;
      }
    }
  }

  async #perform(next: Action): Promise<void> {
    if (next === 'restart') this.#process = null;
    this.#process ??= await this.#start();
    if (next === 'roll') await this.#process.roll();
    if (next === 'catch-up') await this.#process.catchUp();
    if (next !== 'commit') return;
    this.#commits += 1;
    const commitId = `${this.name}-${this.#commits}`;
    await this.#process.commitOnce(commitId);
    this.acknowledged.push(commitId);
  }
}

async function play(scheduler: fc.Scheduler, { actions, deaths, faults }: Scenario): Promise<void> {
  const stores = memoryStores();
  const queue = faults.slice();
  const turn = (label: string): Promise<void> => scheduler.schedule(Promise.resolve(), label);
  const nextFault = (): Fault => queue.shift() ?? 'none';
  const passings = new Map<string, number>();
  const faultPoint = (point: string): void => {
    const passing = (passings.get(point) ?? 0) + 1;
    passings.set(point, passing);
    if (deaths.some((death) => death.point === point && death.passing === passing)) {
      throw new ProcessDied(point);
    }
  };
  const writers = ['left', 'right'].map(
    (name) =>
      new Writer(name, () =>
        LogProcess.start({
          name,
          faultPoint,
          stores: {
            appends: scheduled(stores.appends, turn, nextFault),
            objects: scheduled(stores.objects, turn, nextFault),
          },
        }),
      ),
  );
  await scheduler.waitFor(
    Promise.all(writers.map((writer, index) => writer.run(actions[index] ?? []))),
  );

  const reader = await LogProcess.start({ stores, name: 'reader' });
  expect(new Set(reader.history).size).toBe(reader.history.length);
  for (const { acknowledged, name } of writers) {
    // All that was acknowledged is there, in its order; what was not is there once or not at all.
    const own = reader.history.filter((id) => id.startsWith(name));
    expect(own.filter((id) => acknowledged.includes(id))).toEqual(acknowledged);
  }
  const whole = await readLog(stores.appends, logPath, null);
  const commits = whole.records.filter((record) => record.kind === 'commit');
  expect(whole.isBroken).toBe(false);
  expect(commits.map(({ commitId }) => commitId)).toEqual(reader.history);
  expect(commits.map(({ commit }) => commit)).toEqual(commits.map((_record, index) => index + 1));
}

it('keeps one history under any interleaving, loss and death of two writers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), scenario, (scheduler, given) => play(scheduler, given)),
    { numRuns: 300 },
  );
});
