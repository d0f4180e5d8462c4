import type { HttpRequest } from '@azure/functions';

/** Undefined: it is no JSON. */
export async function readBody(request: HttpRequest): Promise<unknown> {
  try {
    return await request.json();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
