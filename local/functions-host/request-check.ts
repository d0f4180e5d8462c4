import type { IncomingMessage } from 'node:http';

/** A request that must not be served, with the reason for whoever sent it. */
export interface RequestRefusal {
  readonly status: 400 | 403 | 414 | 431;
  readonly reason: string;
}

export interface TrustedCallers {
  /** Names besides the loopback ones under which this host is reached, in small letters. */
  readonly hostNames: readonly string[];
  /** Origins whose pages may call; `*`: all. */
  readonly origins: readonly string[];
}

/** Kestrel's MaxRequestHeaderCount, MaxRequestHeadersTotalSize and MaxRequestLineSize. */
const headersMax = 100;
const headerBytesMax = 32_768;
const requestLineBytesMax = 8_192;

/** What a parser must let through so that the limits above decide. */
export const parsedHeaderBytesMax = 2 * headerBytesMax;

const hostShape = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;
const loopbackShape = /^(?:(?:.*\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;

/**
 * Whether a server for this machine alone serves a request; null: it does. As Kestrel, it refuses a
 * Host that is none or does not fit the request line. Beyond that it refuses names that are not this
 * machine's (a page whose name was bound anew to 127.0.0.1) and pages of other sites: a browser sends
 * their simple requests without asking. The request's URL becomes one that begins with its path.
 */
export function checkRequest(
  request: IncomingMessage,
  trusted: TrustedCallers,
): RequestRefusal | null {
  const oversize = checkSize(request);
  if (oversize !== null) return oversize;
  const hosts = request.headersDistinct['host'] ?? [];
  const [host = null] = hosts;
  if (hosts.length > 1) return { status: 400, reason: 'there is more than one Host header' };
  if (host !== null && !isHost(host)) return { status: 400, reason: 'the Host header names none' };
  const target = targetOf(request, host);
  if (target === null)
    return { status: 400, reason: 'the request line names no path of this host' };
  request.url = target;
  if (host !== null && !isOwnName(nameOf(host), trusted)) {
    return { status: 403, reason: `the Host ${host} is not this machine's` };
  }
  return isForeignPage(request, trusted)
    ? { status: 403, reason: 'pages of other sites may not call this host' }
    : null;
}

function checkSize({ method = '', rawHeaders, url = '' }: IncomingMessage): RequestRefusal | null {
  if (`${method} ${url} HTTP/1.1`.length > requestLineBytesMax) {
    return { status: 414, reason: `the request line is over ${requestLineBytesMax} bytes` };
  }
  if (rawHeaders.length / 2 > headersMax) {
    return { status: 431, reason: `there are more than ${headersMax} headers` };
  }
  // A name and its value are written with four characters more.
  const bytes = rawHeaders.reduce((total, text) => total + text.length + 2, 0);
  return bytes > headerBytesMax
    ? { status: 431, reason: `the headers are over ${headerBytesMax} bytes` }
    : null;
}

/** Path and query of the request line, which may be an absolute URL; null: it is none of this host. */
function targetOf(request: IncomingMessage, host: string | null): string | null {
  const { method, url = '/' } = request;
  if (/[^\x21-\x7e]|%00/.test(url)) return null;
  if (url.startsWith('/')) return parsed(`http://localhost${url}`) === null ? null : url;
  if (url === '*') return method === 'OPTIONS' ? '/' : null;
  const absolute = /^https?:\/\//i.test(url) ? parsed(url) : null;
  if (absolute === null) return null;
  // A Host must be the URL's own (RFC 9112 §3.2.2); a default port may stand or not.
  const names = [absolute.host, `${absolute.hostname}:${absolute.port || '80'}`];
  if (host !== null && !names.includes(host.toLowerCase())) return null;
  return `${absolute.pathname}${absolute.search}`;
}

function parsed(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}

function isHost(text: string): boolean {
  const [, name = '', port = '0'] = hostShape.exec(text) ?? [];
  return name !== '' && Number(port) <= 65_535 && parsed(`http://${text}`) !== null;
}

function nameOf(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

function isOwnName(name: string, { hostNames }: TrustedCallers): boolean {
  return loopbackShape.test(name) || hostNames.includes(name);
}

function isForeignPage({ headers, method }: IncomingMessage, trusted: TrustedCallers): boolean {
  const { origin } = headers;
  if (origin !== undefined) {
    if (trusted.origins.includes('*') || trusted.origins.includes(origin.toLowerCase())) {
      return false;
    }
    const url = parsed(origin);
    return url === null || !isOwnName(url.hostname.toLowerCase(), trusted);
  }
  if (headers['sec-fetch-site'] !== 'cross-site') return false;
  // Somebody who follows a link looks at what it shows; a page learns nothing of it.
  const isLookedAt =
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  return !(isLookedAt && (method === 'GET' || method === 'HEAD'));
}
