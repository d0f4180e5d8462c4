// Goal: an entity runs one operation after the other and nobody else's while it is locked.
// Method: states and messages in; batch, answers and new state out.
import {
  beginEntity,
  failEntity,
  finishEntity,
  newEntity,
  type EntityRequest,
  type EntityState,
} from '../../../local/durable-task/entity';
import type { Message } from '../../../local/durable-task/history-event';
import { message, raised, startMs } from '../../support/durable-history';

const instanceId = '@counter@a';

function request(id: string, rest: Partial<EntityRequest> = {}): Message {
  return message(raised('op', { id, op: 'add', ...rest }), id, null);
}
const called = { parent: 'one', parentExecution: 'execution-one' };
const lockedByOne: EntityState = { ...newEntity, lockedBy: { id: 'lock-1', parent: 'one' } };
const begin = (state: EntityState, ...messages: Message[]) =>
  beginEntity({ instanceId, state, messages, nowMs: startMs });
const ids = (requests: readonly EntityRequest[]): string[] => requests.map(({ id }) => id);

describe('an entity', () => {
  it('runs what comes in its order', () => {
    expect(ids(begin(newEntity, request('a'), request('b')).batch)).toEqual(['a', 'b']);
  });

  it('grants a lock after the operations before it and holds back those after it', () => {
    const begun = begin(
      newEntity,
      request('before'),
      request('lock-1', { ...called, lockset: [instanceId], pos: 0 }),
      request('after'),
    );
    expect(ids(begun.batch)).toEqual(['before']);
    expect(ids(begun.state.queue)).toEqual(['after']);
    expect(begun.state.lockedBy).toEqual({ id: 'lock-1', parent: 'one' });
    expect(begun.outgoing).toMatchObject([
      { instanceId: 'one', executionId: 'execution-one', event: { Name: 'lock-1' } },
    ]);
  });

  it('passes a lock on to the next of its set', () => {
    const begun = begin(
      newEntity,
      request('lock-1', { ...called, lockset: [instanceId, '@counter@b'], pos: 0 }),
    );
    expect(begun.outgoing).toMatchObject([{ instanceId: '@counter@b', id: 'lock:lock-1:1' }]);
  });

  it('lets only the holder in, and everybody when it is given back', () => {
    const locked = begin(lockedByOne, request('mine', called), request('theirs'));
    expect(ids(locked.batch)).toEqual(['mine']);
    expect(ids(locked.state.queue)).toEqual(['theirs']);
    const free = begin(
      locked.state,
      message(raised('release', { id: 'lock-1', parent: 'one' }), 'r', null),
    );
    expect(free.state.lockedBy).toBe(null);
    expect(ids(free.batch)).toEqual(['theirs']);
  });

  it('holds signals back too while somebody else has the lock', () => {
    const locked = begin(
      lockedByOne,
      request('signal', { signal: true }),
      request('own', { ...called, signal: true }),
      request('another', { parent: 'two', parentExecution: 'execution-two' }),
    );
    expect(ids(locked.batch)).toEqual(['own']);
    expect(ids(locked.state.queue)).toEqual(['signal', 'another']);
  });

  it('forgets a lock that is given back before it was granted', () => {
    const waiting = begin(
      lockedByOne,
      request('lock-2', { parent: 'two', lockset: [instanceId], pos: 0 }),
    );
    const gone = begin(
      waiting.state,
      message(raised('release', { id: 'lock-2', parent: 'two' }), 'r', null),
    );
    expect(gone.state).toEqual(lockedByOne);
  });

  it('runs what its holder sent before giving it back before what waited for that', () => {
    const locked = begin(lockedByOne, request('theirs'));
    const free = begin(
      locked.state,
      request('mine', called),
      message(raised('release', { id: 'lock-1', parent: 'one' }), 'r', null),
      request('later'),
    );
    expect(ids(free.batch)).toEqual(['mine', 'theirs', 'later']);
  });

  it('leaves alone what is no request: clients may raise any event at any instance', () => {
    const begun = begin(
      newEntity,
      message(raised('go', { id: 'a', op: 'add' }), 'a', null),
      message(raised('op', null), 'b', null),
      message(raised('op', 'add'), 'c', null),
      message(raised('release', null), 'd', null),
      message({ ...raised('op'), Input: null } as never, 'e', null),
      request('f'),
    );
    expect(ids(begun.batch)).toEqual(['f']);
    expect(begun.state).toEqual(newEntity);
  });

  it('is not locked by who gave the lock back before it was asked for', () => {
    const early = begin(
      newEntity,
      message(raised('release', { id: 'lock-1', parent: 'one' }), 'r', null),
    );
    const asked = begin(
      early.state,
      request('lock-1', { ...called, lockset: ['@counter@z', instanceId], pos: 1 }),
      request('theirs'),
    );
    expect(asked.state.lockedBy).toBe(null);
    expect(asked.outgoing).toEqual([]);
    expect(ids(asked.batch)).toEqual(['theirs']);
    expect(asked.state).toEqual(newEntity);
  });

  it('answers calls, not signals, and tells what failed', () => {
    const begun = begin(newEntity, request('s', { signal: true }), request('c', called));
    const { state, outgoing } = finishEntity({
      begun,
      output: {
        entityExists: true,
        entityState: '7',
        results: [{ isError: false }, { isError: true, result: '{}' }],
        signals: [{ target: { name: 'Other', key: 'k' }, name: 'poke', input: '1' }],
      },
      newId: () => 'new',
      nowMs: startMs,
    });
    expect(state).toMatchObject({ exists: true, state: '7' });
    expect(outgoing.map(({ id, instanceId: to }) => ({ id, to }))).toEqual([
      { id: 'answer:c', to: 'one' },
      { id: 'new', to: '@other@k' },
    ]);
    expect(outgoing[0]?.event).toMatchObject({
      Name: 'c',
      Input: '{"result":"{}","exceptionType":"Error"}',
    });
  });

  it('keeps its state when its function cannot run; every caller hears why', () => {
    const begun = begin({ ...newEntity, exists: true, state: '3' }, request('c', called));
    const { state, outgoing } = failEntity(begun, 'no such function', startMs);
    expect(state).toMatchObject({ exists: true, state: '3' });
    expect(outgoing[0]?.event).toMatchObject({
      Input: '{"result":"\\"no such function\\"","exceptionType":"Error"}',
    });
  });
});
