import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/**
 * Why a request may come from a page in a browser that must not reach for the hubs of this machine;
 * null: it does not. A browser names the page's `Origin`, and the page's own host as the `Host` also
 * where that name was made to lead here (DNS rebinding). Programs send no `Origin`, or that of the
 * address that they call.
 */
export function refusalOfPage(request: IncomingMessage, listenHost: string): string | null {
  const { host = '', origin } = request.headers;
  if (origin === undefined) return null;
  const from = hostOf(origin);
  if (from === null || from.host !== host.toLowerCase()) {
    return `Origin ${origin} is not the address called: pages of a browser are not let in`;
  }
  return isOwnName(from.hostname, listenHost)
    ? null
    : `Host ${host} is no name of this machine: pages of a browser are not let in`;
}

/** Nobody can make a name that is an address, or `localhost`, lead elsewhere than it does. */
function isOwnName(name: string, listenHost: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '');
  return (
    isIP(bare) !== 0 ||
    [listenHost, hostname(), 'localhost'].some((own) => own.toLowerCase() === bare) ||
    bare.endsWith('.localhost')
  );
}

/** `null` is the origin of a page that has none, such as a file. */
function hostOf(origin: string): { readonly host: string; readonly hostname: string } | null {
  if (!URL.canParse(origin)) return null;
  const { host, hostname: name, protocol } = new URL(origin);
  return /^(?:https?|wss?):$/.test(protocol) ? { host, hostname: name } : null;
}
