import { unlinkSync } from 'node:fs';
import type { AppSettings } from '../shared/config/settings';
import type { FaultPoint } from '../shared/model/ports';

/**
 * In the Development environment alone, `MILLRACE_FAULT_POINT=<point>@<n>` kills this process, as
 * kill -9 does, the n-th time it gets there; with a token file, only the process that removes it.
 */
export function faultPointOf(settings: AppSettings): FaultPoint {
  const wanted = settings.faultPoint;
  if (wanted === null || settings.hostEnvironment !== 'Development') return () => undefined;
  const [point, count = '1'] = wanted.split('@');
  let remaining = Number(count);
  return (reached) => {
    if (reached !== point) return;
    remaining -= 1;
    if (remaining > 0 || !takeToken(settings.faultToken)) return;
    process.kill(process.pid, 'SIGKILL');
  };
}

function takeToken(token: string | null): boolean {
  if (token === null) return true;
  try {
    unlinkSync(token);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
