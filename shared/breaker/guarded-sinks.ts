import type { LakeTable } from '../lake/lake-table';
import type { HubSender } from '../model/ports';
import { CircuitBreaker, type BreakerWorld } from './circuit-breaker';

/** A table whose flushes stop, on all workers, while its store keeps failing. */
export function guardedTable(table: LakeTable, name: string, world: BreakerWorld): LakeTable {
  const breaker = new CircuitBreaker(world, `table ${name}`);
  return {
    flush: (request) => breaker.run(() => table.flush(request)),
    create: () => table.create(),
    flushedThrough: (task, options) => table.flushedThrough(task, options),
    flushedByTask: (prefix, options) => table.flushedByTask(prefix, options),
  };
}

/** Exchange hubs, each of which is left alone, by all workers, while it keeps failing. */
export function guardedSender(sender: HubSender, world: BreakerWorld): HubSender {
  const breakers = new Map<string, CircuitBreaker>();
  return {
    partitionCount: (hub) => sender.partitionCount(hub),
    send: (request) => {
      let breaker = breakers.get(request.hub);
      if (breaker === undefined) {
        breaker = new CircuitBreaker(world, `hub ${request.hub}`);
        breakers.set(request.hub, breaker);
      }
      return breaker.run(() => sender.send(request));
    },
  };
}
