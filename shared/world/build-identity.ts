import { unbuilt, type BuildIdentity } from '../model/topology-plan';

/** `<time> <id>`: tools/build.mjs writes it into what it makes; absent in code that no build made. */
declare const MILLRACE_BUILD: string | undefined;

/** The build that this code is of. */
export function buildIdentity(): BuildIdentity {
  return parseBuild(typeof MILLRACE_BUILD === 'string' ? MILLRACE_BUILD : '');
}

function parseBuild(text: string): BuildIdentity {
  const [time = '', id = ''] = text.split(' ');
  const builtAtMs = Date.parse(time);
  return id === '' || Number.isNaN(builtAtMs) ? unbuilt : { id, builtAtMs };
}
