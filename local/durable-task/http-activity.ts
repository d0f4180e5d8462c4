import type { HttpRequest } from './actions';
import { FunctionFailed } from './worker-pool';

const timeoutMs = 100_000;

/** callHttp's request, made by the host: the result has status, headers and text. */
export async function httpActivity(input: string): Promise<string> {
  const [request] = JSON.parse(input) as [HttpRequest];
  if (request.tokenSource !== undefined && request.tokenSource !== null) {
    throw new FunctionFailed(
      'callHttp with a token source needs a managed identity; there is none on this machine',
    );
  }
  try {
    const response = await fetch(request.uri, {
      method: request.method,
      headers: { ...request.headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(request.content !== undefined && { body: request.content }),
    });
    return JSON.stringify({
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      content: await response.text(),
    });
  } catch (error) {
    const cause =
      error instanceof Error && error.cause !== undefined ? `: ${String(error.cause)}` : '';
    throw new FunctionFailed(`${request.method} ${request.uri}: ${String(error)}${cause}`);
  }
}
