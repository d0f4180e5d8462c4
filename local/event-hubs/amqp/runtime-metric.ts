import { message, types } from 'rhea';
import type { PartitionLog } from '../log/partition-log';

/** The delivery annotations of a link that asked to know how far the partition goes. */
export function runtimeMetricSection(log: PartitionLog): Buffer {
  const encoded = message.encode({
    delivery_annotations: {
      last_enqueued_sequence_number: types.wrap_long(log.nextSequenceNumber - 1),
      last_enqueued_offset: types.wrap_string(String(log.lastOffset)),
      last_enqueued_time_utc: types.wrap_timestamp(log.lastEnqueuedTimeMs),
      runtime_info_retrieval_time_utc: types.wrap_timestamp(Date.now()),
    },
  });
  // rhea always ends with a body; a section of its own begins the message here.
  const bodyStart = encoded.indexOf(Buffer.from([0x00, 0x53, 0x77]));
  return bodyStart === -1 ? encoded : encoded.subarray(0, bodyStart);
}
