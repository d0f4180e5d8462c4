import type { IncomingMessage } from 'node:http';
import { BadRequest } from './control-requests';

const hostShape = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
const loopbackName = /^(?:(?:.*\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;
const loopbackAddress = /^(?:::ffff:)?127\.|^::1$/;

/**
 * Refuses whoever must not reach for the hubs of this machine: other machines (health is all that they
 * may see), pages of other sites, and names that a page had bound anew to this machine.
 */
export function assertTrusted(request: IncomingMessage): void {
  const { localAddress, remoteAddress = '' } = request.socket;
  // Who calls this machine by an address of its own comes from that address.
  if (!loopbackAddress.test(remoteAddress) && remoteAddress !== localAddress) {
    if (request.method === 'GET' && request.url === '/health') return;
    throw new BadRequest('only programs on the same machine may do this', 403);
  }
  const { headers } = request;
  const [host, ...others] = request.headersDistinct['host'] ?? [];
  const name = host === undefined ? 'localhost' : hostShape.exec(host)?.[1];
  if (name === undefined || others.length > 0) throw new BadRequest('the Host header names none');
  // No page can make an address lead elsewhere than it does.
  if (!loopbackName.test(name) && name.replace(/^\[|\]$/g, '') !== localAddress) {
    throw new BadRequest(`the Host ${name} is not this machine's`, 403);
  }
  const isForeign =
    headers.origin === undefined
      ? headers['sec-fetch-site'] === 'cross-site'
      : !isOfThisMachine(headers.origin);
  if (isForeign) throw new BadRequest('pages of other sites may not do this', 403);
}

function isOfThisMachine(origin: string): boolean {
  return URL.canParse(origin) && loopbackName.test(new URL(origin).hostname);
}
