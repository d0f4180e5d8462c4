import { inspect } from 'node:util';

/** What a function threw as an error, with the message that the platform's worker gives it. */
export function errorOf(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  if (typeof thrown !== 'object' || thrown === null) {
    return new Error(thrown === undefined || thrown === null ? 'Unknown error' : String(thrown));
  }
  return new Error(jsonOf(thrown) ?? inspect(thrown));
}

/** Null: it is in a circle, or holds what JSON has no text for. */
function jsonOf(value: object): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}
