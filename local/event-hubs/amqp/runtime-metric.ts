import { types } from 'rhea';
import type { PartitionLog } from '../log/partition-log';
import { readSections, sectionCode } from '../message/sections';

/** The message with a section told behind its header. */
export function withDeliveryAnnotations(message: Buffer, section: Buffer): Buffer {
  const [first] = readSections(message);
  const headerBytes = first?.code === sectionCode.header ? first.end : 0;
  return Buffer.concat([message.subarray(0, headerBytes), section, message.subarray(headerBytes)]);
}

/** The delivery annotations of a link that asked to know how far the partition goes. */
export function runtimeMetricSection(log: PartitionLog): Buffer {
  const writer = new (types as unknown as { Writer: new () => RheaWriter }).Writer();
  writer.write(
    types.described_nc(
      types.wrap_ulong(sectionCode.deliveryAnnotations),
      types.wrap_symbolic_map({
        last_enqueued_sequence_number: types.wrap_long(log.nextSequenceNumber - 1),
        last_enqueued_offset: types.wrap_string(String(log.lastOffset)),
        last_enqueued_time_utc: types.wrap_timestamp(log.lastEnqueuedTimeMs),
        runtime_info_retrieval_time_utc: types.wrap_timestamp(Date.now()),
      }),
    ),
  );
  return writer.toBuffer();
}

interface RheaWriter {
  write(value: unknown): void;
  toBuffer(): Buffer;
}
