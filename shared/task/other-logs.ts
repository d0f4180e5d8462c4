import { listKnownIncarnations } from '../commit-log/incarnations';
import { listLogs } from '../commit-log/log-reader';
import { Task } from './task';
import type { TaskOptions } from './task-hold';

/** A partition that is new has no log: those of the others know how many there were. */
export async function assertSameCountAsOthers(
  options: Omit<TaskOptions, 'inherited'>,
): Promise<void> {
  const { address, services, stage } = options;
  if (stage.plan.isKeyedBySource !== true) return;
  const { stage: name, version } = address;
  const others = (await listLogs(services.appends, address.topology))
    .filter((path) => path.version === version && path.stage === name)
    .filter(({ partition }) => partition !== address.partition)
    .sort((left, right) => (left.incarnation < right.incarnation ? 1 : -1));
  const [other] = others;
  if (other === undefined) return;
  const lives = await listKnownIncarnations(services.appends, other);
  // One that is about to begin holds nothing yet, and what it begins with is not for us to say.
  if (!lives.some((life) => life.incarnation === other.incarnation && life.hasBegun)) return;
  // It compares what its own log holds, and is not worked on here.
  const task = await Task.open({ ...options, address: other, inherited: null });
  task.letGo();
}
