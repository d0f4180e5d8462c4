import { Compile } from 'typebox/compile';
import { StreamError } from '../../model/errors';
import type { JobKind } from './job-kind';

const faultsToldMax = 10;

/**
 * A job's options as somebody gave them: by the command, or over HTTP.
 * @throws StreamError STREAM_CONFIGURATION_INVALID that names every fault with its place
 */
export function assertOptions(kind: JobKind, given: unknown): void {
  const schema = Compile(kind.options);
  if (schema.Check(given)) return;
  const faults = schema.Errors(given).map(({ instancePath, message }) => {
    const place = `options${instancePath.replaceAll('/', '.')}`;
    return `${place} ${message}`;
  });
  throw new StreamError(
    'STREAM_CONFIGURATION_INVALID',
    `a job of kind ${kind.name} cannot have these options: ${faults.slice(0, faultsToldMax).join('; ')}`,
  );
}
