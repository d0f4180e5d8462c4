// Goal: whatever an orchestrator asks for and in whatever order answers come, every result reaches the
// task it belongs to: the package's numbers and the host's are the same.
// Method: random orchestrators run by the real durable-functions package against the host's pure core,
// in memory; answers, events and duplicates in random order and random episodes.
import * as durable from 'durable-functions';
import type { OrchestrationContext, Task } from 'durable-functions';
import fc from 'fast-check';
import { EventType, type HistoryEvent, type Message } from '../../local/durable-task/history-event';
import { completed, failed, fired, message, raised } from '../support/durable-history';
import { DurableSimulation } from '../support/durable-simulation';

type Step =
  | { readonly kind: 'activity' }
  | { readonly kind: 'failing' }
  | { readonly kind: 'retried'; readonly failures: number; readonly attempts: number }
  | { readonly kind: 'child' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'event' }
  | { readonly kind: 'signal' }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Step[] };

const leaf: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ kind: 'activity' }),
  fc.record({
    kind: fc.constant('retried' as const),
    failures: fc.nat(3),
    attempts: fc.constant(4),
  }),
  fc.constant<Step>({ kind: 'child' }),
  fc.constant<Step>({ kind: 'timer' }),
  fc.constant<Step>({ kind: 'event' }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: leaf },
  fc.constant<Step>({ kind: 'failing' }),
  fc.constant<Step>({ kind: 'signal' }),
  fc.record({
    kind: fc.constant('retried' as const),
    failures: fc.constant(9),
    attempts: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constantFrom('all' as const, 'any' as const),
    of: fc.array(leaf, { minLength: 1, maxLength: 4 }),
  }),
);

/** Every task carries its own name: an answer that reaches another one shows. */
function* program(
  context: OrchestrationContext,
  steps: readonly Step[],
): Generator<Task, string[]> {
  const results: string[] = [];
  let names = 0;
  const taskOf = (one: Step): { task: Task; name: string } => {
    const name = `task-${names}`;
    names += 1;
    switch (one.kind) {
      case 'activity':
        return { name, task: context.df.callActivity('work', { name, failures: 0 }) };
      case 'failing':
        return { name, task: context.df.callActivity('work', { name, failures: 99 }) };
      case 'retried': {
        const { attempts, failures } = one;
        const options = new durable.RetryOptions(1_000, attempts);
        return {
          name,
          task: context.df.callActivityWithRetry('work', options, { name, failures }),
        };
      }
      case 'child':
        return { name, task: context.df.callSubOrchestrator('child', { name }) };
      case 'timer':
        return {
          name: 'fired',
          task: context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000)),
        };
      case 'event':
        return { name, task: context.df.waitForExternalEvent(name) };
      default:
        throw new Error(`${one.kind} has no task of its own`);
    }
  };
  const shown = (value: unknown): string => (value === undefined ? 'fired' : String(value));
  for (const one of steps) {
    if (one.kind === 'signal') {
      context.df.signalEntity(new durable.EntityId('counter', 'a'), 'add', 1);
    } else if (one.kind === 'all' || one.kind === 'any') {
      const children = one.of.map(taskOf);
      const tasks = children.map(({ task }) => task);
      if (one.kind === 'all') {
        const values = (yield context.df.Task.all(tasks)) as unknown as unknown[];
        results.push(...values.map((value, index) => `${children[index]?.name} = ${shown(value)}`));
      } else {
        const winner = (yield context.df.Task.any(tasks)) as Task;
        const { name } = children[tasks.indexOf(winner)] ?? {};
        results.push(`${name} = ${shown(winner.result)}`);
      }
    } else {
      const { task, name } = taskOf(one);
      try {
        results.push(`${name} = ${shown(yield task)}`);
      } catch {
        results.push(`${name} = failed`);
      }
    }
  }
  return results;
}

const functions = { orchestrators: ['main', 'child'], activities: ['work'], entities: ['counter'] };

interface Call {
  readonly name: string;
  readonly failures: number;
}

/** Drives one orchestration to its end; `choose(n)` picks what happens next. */
async function drive(steps: readonly Step[], choose: (below: number) => number): Promise<string[]> {
  const simulation = new DurableSimulation(function* (context) {
    return yield* program(context, steps);
  }, functions);
  await simulation.start(null);
  const attempts = new Map<string, number>();
  const answerTo = (event: HistoryEvent): Message => {
    switch (event.EventType) {
      case EventType.TimerCreated:
        return message({ ...fired(event.EventId), Timestamp: event.FireAt }, null, null);
      case EventType.SubOrchestrationInstanceCreated: {
        const { name } = JSON.parse(event.Input ?? '') as Call;
        return message(
          {
            ...completed(event.EventId, name),
            EventType: EventType.SubOrchestrationInstanceCompleted,
          } as HistoryEvent,
          null,
          null,
        );
      }
      case EventType.TaskScheduled: {
        const [call] = JSON.parse(event.Input) as [Call];
        const attempt = (attempts.get(call.name) ?? 0) + 1;
        attempts.set(call.name, attempt);
        const answer =
          attempt <= call.failures ? failed(event.EventId) : completed(event.EventId, call.name);
        return message(answer, null, null);
      }
      default:
        throw new Error('nothing to answer');
    }
  };
  const events = Array.from({ length: steps.length * 5 }, (_unused, index) => `task-${index}`);
  const earlier: Message[] = [];
  for (let turn = 0; simulation.status !== 'Completed'; turn += 1) {
    if (turn > 2_000) throw new Error(`it hangs: ${JSON.stringify(simulation.execution?.events)}`);
    const batch: Message[] = [];
    const open = [...simulation.open];
    for (let count = choose(3); count >= 0 && open.length > 0; count -= 1) {
      const [event] = open.splice(choose(open.length), 1);
      if (event !== undefined) batch.push(answerTo(event));
    }
    const name = events.splice(choose(events.length + 1), 1)[0];
    if (name !== undefined) {
      batch.splice(choose(batch.length + 1), 0, message(raised(name, name), `event-${name}`, null));
    }
    // At least once: what came comes again.
    const again = earlier[choose(earlier.length + 1)];
    if (again !== undefined) batch.push(again);
    earlier.push(...batch);
    await simulation.deliver(batch);
    if (simulation.status === 'Failed') throw new Error(JSON.stringify(simulation.output));
  }
  return simulation.output as string[];
}

it('results reach the tasks they belong to', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 7 }),
      fc.infiniteStream(fc.nat(1_000_000)),
      async (steps, random) => {
        const choose = (below: number): number =>
          below <= 0 ? 0 : Number(random.next().value) % below;
        const results = await drive(steps, choose);
        const wrong = results.filter((result) => {
          const [name, value] = result.split(' = ');
          return name !== value && value !== 'failed';
        });
        expect(wrong).toEqual([]);
        const hopeless = steps.filter(
          (one) =>
            one.kind === 'failing' || (one.kind === 'retried' && one.failures >= one.attempts),
        ).length;
        expect(results.filter((result) => result.endsWith('= failed'))).toHaveLength(hopeless);
      },
    ),
    { numRuns: 300 },
  );
});
