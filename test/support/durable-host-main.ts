/** A host with the durable fixture app as a process of its own, to be killed at a named point. */
import { startFunctionsHost } from './built';

export interface DurableHostArguments {
  readonly appDirectory: string;
  readonly workers: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  /** kill -9 when this point is reached for the n-th time. */
  readonly killAt?: { readonly point: string; readonly count: number };
}

async function main(): Promise<void> {
  const given = JSON.parse(process.argv[2] ?? '') as DurableHostArguments;
  let reached = 0;
  const host = await startFunctionsHost({
    ...given,
    httpPort: 0,
    durableTimes: { leaseMs: 3_000, pollIntervalMs: 200 },
    durablePoint: (point) => {
      if (point !== given.killAt?.point) return;
      reached += 1;
      if (reached === given.killAt.count) process.kill(process.pid, 'SIGKILL');
    },
    log: (line) => {
      if (/warn|error: Host/.test(line)) console.error(line);
    },
  });
  process.send?.({ httpUrl: host.httpUrl });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
process.on('disconnect', () => process.exit(0));
