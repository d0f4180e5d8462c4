/** Asks a running app over HTTP. */

export interface AppFlags {
  /** Address of the running app. */
  readonly on?: string;
  readonly key?: string;
}

/**
 * @param body given: it is posted
 * @throws Error that says what the app has against it, or why it cannot be asked
 */
export async function askApp<Answer>(
  address: string,
  { key }: AppFlags,
  body?: unknown,
): Promise<Answer> {
  const headers = {
    'content-type': 'application/json',
    ...(key !== undefined && { 'x-functions-key': key }),
  };
  const posted = body !== undefined && { method: 'POST', body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(address, { headers, ...posted });
  } catch (cause) {
    throw new Error(
      `${address} does not answer: is the app running there? Without --on the command acts on the store itself`,
      { cause },
    );
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Answer;
  throw new Error(saidBy(text) ?? `${address} answered ${response.status}: ${text.slice(0, 300)}`);
}

/** What the app says itself; null: the answer is not the app's. */
function saidBy(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
