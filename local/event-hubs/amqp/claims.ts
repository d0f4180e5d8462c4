import type * as rhea from 'rhea';
import { Refusal } from '../errors';
import type { SharedAccess } from '../shared-access';
import { keyAdvice, type ConnectionRights } from './connection-rights';
import { answer, answerFailure } from './management';

export interface Claims {
  readonly access: SharedAccess;
  /** Of the connection that asks. */
  readonly rights: ConnectionRights;
  readonly nowMs: number;
  readonly log: (line: string) => void;
}

/** The service's own condition on $cbs (azure-sdk-for-js issue 26073); elsewhere it is AMQP's. */
const authFailed = 'com.microsoft:auth-failed';

/**
 * Answers `put-token` on $cbs: the token is the body, `name` among the application properties the
 * address of the entity it is for, `type` what it is (OASIS AMQP CBS draft, as the SDKs speak it).
 */
export function answerPutToken(claims: Claims, request: rhea.Message): rhea.Message {
  const { access, log, nowMs, rights } = claims;
  const { name, operation, type } = request.application_properties ?? {};
  try {
    if (operation !== 'put-token') {
      throw new Refusal('amqp:not-implemented', `Operation ${String(operation)}.`, 501);
    }
    const text = textOf(request.body) ?? '';
    const audience = textOf(name);
    rights.add(access.grantOf({ text, type: textOf(type), audience, nowMs }));
    return answer(request, { status: 202, description: 'Accepted' });
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 401)) return answerFailure(request, error);
    log(`client refused: ${error.message} (${keyAdvice})`);
    return answerFailure(request, new Refusal(authFailed, error.message, error.status));
  }
}

/** Throws unless the client may ask about a hub: by the token of the request, or one shown before. */
export function assertRequestAllowed(claims: Claims, request: rhea.Message, hub: string): void {
  const { access, nowMs, rights } = claims;
  const text = textOf(
    (request.application_properties as Record<string, unknown> | undefined)?.['security_token'],
  );
  if (text === null) rights.assert('Manage', hub, nowMs);
  else access.grantOf({ text, type: null, audience: `sb://localhost/${hub}`, nowMs });
}

/** A string, also where a client writes one as bytes. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  const { content } = (value ?? {}) as { readonly content?: unknown };
  return content === undefined ? null : textOf(content);
}
