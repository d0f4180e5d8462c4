// Goal: what is kept for all topologies under control/ is not taken for a topology's, whatever its name.
import { MemoryObjectStore } from '../../../shared/adapters/memory-stores';
import {
  buildFolder,
  drainMarkName,
  haltFolder,
  planFolder,
} from '../../../shared/model/control-names';
import { readHaltMarks } from '../../../shared/task/halt-marks';

it('a topology called halted has no halt marks because it has plans', async () => {
  const objects = new MemoryObjectStore();
  const mark = { functionName: 'x', partition: '0', code: 'c', message: 'm', atMs: 1, writer: 'w' };
  const bytes = Buffer.from(JSON.stringify({ format: 1, ...mark }));
  for (const topology of ['halted', 'halts', 'a']) {
    const names = [planFolder(topology), buildFolder(topology), drainMarkName(topology)];
    for (const name of names) {
      expect(name.startsWith(haltFolder)).toBe(false);
      await objects.put(name.endsWith('/') ? `${name}00000001` : name, bytes);
    }
  }
  expect(await readHaltMarks(objects)).toEqual([]);
});
