import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import { expired, isBelow, linkPath, type Grant, type SharedAccess } from '../shared-access';

/** Entities that one connection may show tokens for. */
const grantsMax = 5_000;

/** What rhea keeps of a server's handshake (rhea 3.0.5 lib/sasl.js, pinned). */
interface RheaHandshake {
  readonly mechanism?: unknown;
  readonly transports?: Readonly<Record<number, { readonly mechanism?: unknown }>>;
}

const saslProtocol = 3;

/** SASL PLAIN (RFC 4616): a key's name and the key. In the form in which rhea asks for a mechanism. */
export class PlainHandshake {
  readonly #access: SharedAccess;
  readonly #log: (line: string) => void;
  outcome: boolean | undefined;

  constructor(access: SharedAccess, log: (line: string) => void) {
    this.#access = access;
    this.#log = log;
  }

  start(response: Buffer | null | undefined): void {
    const [, name = '', key = '', ...more] = (response ?? '').toString('utf8').split('\0');
    this.outcome = more.length === 0 && this.#access.isKey(name, key);
    if (!this.outcome) this.#log(`client refused: SASL PLAIN with a wrong key: ${keyAdvice}`);
  }
}

/** What a log line says of a client without the right key. */
export const keyAdvice =
  'use the connection string that was printed at the start, or start with --any-key';

/** What one connection's client may do: all with the key, otherwise what its tokens allow. */
export class ConnectionRights {
  readonly #connection: rhea.Connection;
  readonly #access: SharedAccess;
  readonly #grants = new Map<string, Grant>();

  constructor(connection: rhea.Connection, access: SharedAccess) {
    this.#connection = connection;
    this.#access = access;
  }

  /** A token for an entity; an earlier one for the same is replaced. */
  add(grant: Grant): void {
    if (this.#grants.size >= grantsMax && !this.#grants.has(grant.path)) {
      throw new Refusal(
        'amqp:resource-limit-exceeded',
        `More than ${grantsMax} tokens on one connection.`,
        403,
      );
    }
    this.#grants.set(grant.path, grant);
  }

  /** Throws unless a link to this address, or a request about it, is allowed now. */
  assert(claim: 'Listen' | 'Send' | 'Manage', address: string, nowMs: number): void {
    if (this.#isKeyHolder()) return;
    const path = linkPath(address);
    const grants = [...this.#grants.values()].filter((grant) => isBelow(path, grant.path));
    if (grants.some(({ expiresAtMs }) => expiresAtMs > nowMs)) return;
    const condition = 'amqp:unauthorized-access';
    const [late] = grants;
    if (late !== undefined) {
      throw new Refusal(condition, expired(late.expiresAtMs).message, 401);
    }
    throw new Refusal(
      condition,
      `Unauthorized access. '${claim}' claim(s) are required to perform this operation. Resource: 'sb://localhost/${path}'.`,
      401,
    );
  }

  #isKeyHolder(): boolean {
    if (this.#access.isOpen) return true;
    const handshake = (this.#connection as unknown as { sasl_transport?: RheaHandshake })
      .sasl_transport;
    const mechanism = handshake?.transports?.[saslProtocol]?.mechanism ?? handshake?.mechanism;
    return mechanism instanceof PlainHandshake && mechanism.outcome === true;
  }
}
