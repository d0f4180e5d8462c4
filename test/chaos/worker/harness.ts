/**
 * Loaded into every worker of a chaos run before the app reads its settings. It lets in from outside
 * what a process can only do to itself (a wrong clock, a death at a named point), and notes which
 * events each trigger was handed. The engine knows nothing of it.
 */
import { app } from '@azure/functions';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import {
  armedFile,
  clockFile,
  deliveriesFile,
  folderSetting,
  type ArmedPoint,
  type Delivery,
} from './folders';

const clockLookIntervalMs = 100;
const RealDate = Date;

const folder = process.env[folderSetting];
if (folder === undefined) throw new Error(`the setting ${folderSetting} is missing`);
takeArmedPoint(armedFile(folder));
followClock(clockFile(folder, process.pid));
noteDeliveries(deliveriesFile(folder, process.pid));

function takeArmedPoint(file: string): void {
  if (!existsSync(file)) return;
  const { point, token } = JSON.parse(readFileSync(file, 'utf8')) as ArmedPoint;
  process.env['MILLRACE_FAULT_POINT'] = point;
  process.env['MILLRACE_FAULT_TOKEN'] = token;
}

/** The file holds by how many milliseconds this process's clock is wrong; no file: it is right. */
function followClock(file: string): void {
  let offsetMs = 0;
  setInterval(() => {
    offsetMs = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  }, clockLookIntervalMs).unref();
  const nowMs = (): number => RealDate.now() + offsetMs;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, values: unknown[], newTarget) =>
      Reflect.construct(target, values.length === 0 ? [nowMs()] : values, newTarget) as Date,
    apply: () => new RealDate(nowMs()).toString(),
    get: (target, name) => (name === 'now' ? nowMs : (Reflect.get(target, name) as unknown)),
  });
}

/** A long as newer Node workers send it; older ones send a number. */
type Long = number | { readonly low: number; readonly high: number };

function noteDeliveries(file: string): void {
  app.hook.preInvocation(({ invocationContext }) => {
    const { functionName, triggerMetadata = {} } = invocationContext as {
      functionName: string;
      triggerMetadata?: Record<string, unknown>;
    };
    const numbers = triggerMetadata['sequenceNumberArray'] as readonly Long[] | undefined;
    const place = triggerMetadata['partitionContext'] as { partitionId: string } | undefined;
    if (numbers === undefined || place === undefined) return;
    const delivery: Delivery = {
      atMs: RealDate.now(),
      functionName,
      partition: place.partitionId,
      runs: runsOf(
        numbers.map((one) =>
          typeof one === 'number' ? one : one.high * 2 ** 32 + (one.low >>> 0),
        ),
      ),
    };
    // In one write before the batch begins: kill -9 does not take back what was written.
    appendFileSync(file, `${JSON.stringify(delivery)}\n`);
  });
}

function runsOf(numbers: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs;
}
