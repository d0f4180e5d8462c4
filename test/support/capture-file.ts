/** Files of Event Hubs Capture, made byte by byte from the Avro specification. */
import { deflateRawSync } from 'node:zlib';

const schema = JSON.stringify({
  type: 'record',
  name: 'EventData',
  namespace: 'Microsoft.ServiceBus.Messaging',
  fields: [
    { name: 'SequenceNumber', type: 'long' },
    { name: 'Offset', type: 'string' },
    { name: 'EnqueuedTimeUtc', type: 'string' },
    {
      name: 'SystemProperties',
      type: { type: 'map', values: ['long', 'double', 'string', 'bytes'] },
    },
    { name: 'Properties', type: { type: 'map', values: ['long', 'double', 'string', 'bytes'] } },
    { name: 'Body', type: ['null', 'bytes'] },
  ],
});
const sync = Buffer.alloc(16, 0xa5);

/** Avro's zigzag variable-length long. */
function long(value: bigint | number): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

const text = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([long(bytes.length), bytes]);
};

/** One record of Capture. */
export function captureRecord(options: {
  time: string;
  body: string | null;
  largest?: bigint;
}): Buffer {
  const { body, largest = 0n, time } = options;
  return Buffer.concat([
    ...[long(7), text('4096'), text(time)],
    // One system property, a long beyond what a number holds exactly; no properties of the sender.
    ...[long(1), text('x-opt-large'), long(0), long(largest), long(0)],
    long(0),
    ...(body === null ? [long(0)] : [long(1), text(body)]),
  ]);
}

/** An Avro object container file of one block. */
export function captureFile(
  records: readonly Buffer[],
  codec: 'null' | 'deflate',
  named = schema,
): Buffer {
  const plain = Buffer.concat(records);
  const block = codec === 'null' ? plain : deflateRawSync(plain);
  return Buffer.concat([
    Buffer.from('Obj\u0001', 'latin1'),
    ...[long(2), text('avro.schema'), text(named), text('avro.codec'), text(codec), long(0), sync],
    ...(records.length === 0 ? [] : [long(records.length), long(block.length), block, sync]),
  ]);
}
