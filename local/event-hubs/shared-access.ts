import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal } from './errors';

/** A shared access policy of the namespace, with the rights to send, listen and manage. */
export interface SharedAccessKey {
  readonly name: string;
  readonly key: string;
}

/** What the official emulator's documentation has: a connection string copied from there works. */
export const developmentKey: SharedAccessKey = {
  name: 'RootManageSharedAccessKey',
  key: 'SAS_KEY_VALUE',
};

/** What a token allows: `path` and all below it, until it expires. */
export interface Grant {
  /** Path of an entity in lower case, without slashes around it; empty: the whole namespace. */
  readonly path: string;
  /** Milliseconds since 1970; Infinity where the token does not say. */
  readonly expiresAtMs: number;
}

/** A token as a client shows it. */
export interface ShownToken {
  readonly text: string;
  /** What the client says it is; null: it does not say. */
  readonly type: string | null;
  /** Address of the entity that it is shown for; null: what the token itself names. */
  readonly audience: string | null;
  readonly nowMs: number;
}

const signatureType = 'servicebus.windows.net:sastoken';
const signatureStart = /^SharedAccessSignature\s/i;
const tokenCharactersMax = 64 * 1024;

const unauthorized = (description: string): Refusal =>
  new Refusal('amqp:unauthorized-access', description, 401);

/**
 * Who may speak with the namespace. Refusals have the words that the service's own have on
 * $cbs (azure-sdk-for-js issues 9601 and 26073).
 */
export class SharedAccess {
  readonly #key: SharedAccessKey | null;

  /** `null`: everybody is let in, whatever he shows. */
  constructor(key: SharedAccessKey | null) {
    this.#key = key;
  }

  get isOpen(): boolean {
    return this.#key === null;
  }

  /** Name and key as SASL PLAIN has them. */
  isKey(name: string, key: string): boolean {
    const own = this.#key;
    return own === null || (own.name === name && isSame(Buffer.from(own.key), Buffer.from(key)));
  }

  /**
   * What a token allows. Tokens of Entra ID are taken unless they have expired: nothing on this machine
   * could check who signed them.
   */
  grantOf({ audience, nowMs, text: token, type }: ShownToken): Grant {
    const wanted = audience === null ? null : entityPath(audience);
    if (this.#key === null) return { path: wanted ?? '', expiresAtMs: Infinity };
    if (token === '' || token.length > tokenCharactersMax) {
      throw unauthorized('MalformedToken: The token is empty or too long.');
    }
    const isSignature = type === signatureType || signatureStart.test(token);
    const grant = isSignature ? readSignature(token, this.#key) : { path: '', ...readJwt(token) };
    if (grant.expiresAtMs <= nowMs) throw expired(grant.expiresAtMs);
    if (wanted === null) return grant;
    if (!isBelow(wanted, grant.path)) {
      throw unauthorized(
        'InvalidAudience: The authorization header contains a token with a wrong audience.',
      );
    }
    return { path: wanted, expiresAtMs: grant.expiresAtMs };
  }
}

export function expired(expiresAtMs: number): Refusal {
  const time = new Date(expiresAtMs).toISOString().replace('T', ' ').replace(/\.\d+/, '');
  return unauthorized(`ExpiredToken: The token is expired. Expiration time: '${time}'`);
}

/** The path of an address `scheme://host/path` or `host/path`, as grants have it. */
function entityPath(address: string): string {
  const path = address.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').replace(/^[^/]*/, '');
  return tidy(path).replace(/(?:^|\/)\$management$/, '');
}

/** The path of a link's address: `hub/…`, `/hub/…` or a whole address. */
export function linkPath(address: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? entityPath(address) : tidy(address);
}

export function isBelow(path: string, granted: string): boolean {
  return granted === '' || path === granted || path.startsWith(`${granted}/`);
}

const tidy = (path: string): string =>
  path
    .split('/')
    .filter((segment) => segment !== '')
    .join('/')
    .toLowerCase();

/** `SharedAccessSignature sr=…&sig=…&se=…&skn=…`; the signature is over `sr` as it is written, and `se`. */
function readSignature(token: string, { key, name }: SharedAccessKey): Grant {
  if (!signatureStart.test(token)) {
    throw unauthorized('MalformedToken: The token does not begin with SharedAccessSignature.');
  }
  const fields = new Map(
    token
      .slice(token.search(/\s/))
      .trim()
      .split('&')
      .map((part) => {
        const at = part.indexOf('=');
        return at < 0 ? ([part, ''] as const) : ([part.slice(0, at), part.slice(at + 1)] as const);
      }),
  );
  const [resource, signature, expiry, keyName] = ['sr', 'sig', 'se', 'skn'].map((field) => {
    const value = fields.get(field);
    if (value === undefined || value === '') {
      throw unauthorized(`MalformedToken: The token has no ${field}.`);
    }
    return value;
  }) as [string, string, string, string];
  const expirySeconds = /^\d{1,12}$/.test(expiry) ? Number(expiry) : null;
  if (expirySeconds === null) throw unauthorized('MalformedToken: The token has no time in se.');
  const right = createHmac('sha256', key).update(`${resource}\n${expiry}`).digest();
  const given = Buffer.from(decoded(signature), 'base64');
  if (decoded(keyName) !== name || !isSame(right, given)) {
    throw unauthorized('InvalidSignature: The token has an invalid signature.');
  }
  return { path: entityPath(decoded(resource)), expiresAtMs: expirySeconds * 1_000 };
}

/** When a token of Entra ID expires, if it says so. */
function readJwt(token: string): { readonly expiresAtMs: number } {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return { expiresAtMs: Infinity };
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    // Not one that can be read: it says nothing of when it expires.
    return { expiresAtMs: Infinity };
  }
  const expirySeconds = (claims as { exp?: unknown } | null)?.exp;
  const isTime = typeof expirySeconds === 'number' && expirySeconds >= 0 && expirySeconds < 1e12;
  return { expiresAtMs: isTime ? expirySeconds * 1_000 : Infinity };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unauthorized(`MalformedToken: ${text.slice(0, 100)} is not percent-encoded.`);
  }
}

const isSame = (left: Buffer, right: Buffer): boolean =>
  left.length === right.length && timingSafeEqual(left, right);
