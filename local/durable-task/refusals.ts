/** What a task hub's client is refused, with the HTTP status and the body that say so. */

/** Asked for what cannot be. */
export class Refused extends Error {
  readonly status: number;
  readonly body: RefusalBody;

  /** `body`: what the platform sends with this refusal; a bare one has none. */
  constructor(status: number, message: string, body: RefusalBody = 'message') {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** `message`: an object with `Message`; `text`: the text as JSON; `none`: nothing. */
export type RefusalBody = 'message' | 'text' | 'none' | { readonly exceptionType: string };

/** There is no such instance, entity or operation. */
export function missing(what: string): Refused {
  return new Refused(404, what, 'none');
}

/** As .NET answers when an operation throws: the reason is in `ExceptionMessage`. */
export function thrown(status: number, message: string, exceptionType: string): Refused {
  return new Refused(status, message, { exceptionType });
}
