/** Bodies of the management API's requests. */
import type { IncomingMessage } from 'node:http';
import { TextDecoder } from 'node:util';
import { Refused } from './refusals';

const bodyBytesMax = 100 * 1024 * 1024;
/** Json.NET, which reads them on the platform, goes no deeper. */
const jsonDepthMax = 64;

/**
 * The whole body as text. A body over the limit is read to its end and dropped, so that the answer
 * arrives and the connection stays usable.
 */
export async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (bytes > bodyBytesMax) throw new Refused(413, 'The body is over 100 MB');
  return decoderOf(request).decode(Buffer.concat(chunks));
}

/** The media type without its parameters, in lower case. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** The text itself when it is JSON that the platform would read; `what`: how its refusal begins. */
export function assertJson(text: string, what = 'Invalid JSON content'): string {
  try {
    JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Refused(400, `${what}: ${error.message}`);
  }
  if (depthOf(text) > jsonDepthMax) {
    throw new Refused(400, `${what}: it is over ${jsonDepthMax} levels deep`);
  }
  return text;
}

/** Of JSON: how many arrays and objects are around its innermost value. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (isText) {
      if (character === '\\') at += 1;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === '[' || character === '{') deepest = Math.max(deepest, (depth += 1));
    else if (character === ']' || character === '}') depth -= 1;
  }
  return deepest;
}

function decoderOf(request: IncomingMessage): TextDecoder {
  const label = /;\s*charset="?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1];
  try {
    return new TextDecoder(label ?? 'utf-8');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refused(400, `content-type: the charset '${label}' is not known`);
  }
}
