import type * as rhea from 'rhea';
import { message as codec, types } from 'rhea';
import { MalformedMessage, readSections, sectionCode } from '../message/sections';

interface RheaTyped {
  readonly type: { readonly name: string };
  readonly value: readonly RheaTyped[];
}

interface RheaReader {
  read(): RheaTyped;
}

/** The types of a message-id (AMQP 1.0 part 3 §3.2.11 to §3.2.14). */
const messageIdTypes = /^(?:Ulong0|SmallUlong|Ulong|Uuid|Vbin8|Vbin32|Str8|Str32)$/;

/**
 * Decodes a request for $cbs or $management. Its id keeps the type it came with, as the answer must name
 * it so that its client knows it: rhea would make a uuid of any bytes.
 */
export function readRequest(bytes: unknown): rhea.Message {
  if (!Buffer.isBuffer(bytes)) throw new MalformedMessage('the request was not taken raw');
  const properties = readSections(bytes).find(({ code }) => code === sectionCode.properties);
  const request = decode(bytes);
  delete request.message_id;
  if (properties === undefined) return request;
  const { Reader } = types as unknown as { Reader: new (bytes: Buffer) => RheaReader };
  const [id] = new Reader(bytes.subarray(properties.value)).read().value;
  if (id === undefined || !messageIdTypes.test(id.type.name)) return request;
  return Object.assign(request, { message_id: id });
}

function decode(bytes: Buffer): rhea.Message {
  try {
    return codec.decode(bytes) as unknown as rhea.Message;
  } catch (error) {
    throw new MalformedMessage(`the request cannot be read: ${(error as Error).message}`);
  }
}
