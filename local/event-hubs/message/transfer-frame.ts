/**
 * The AMQP transfer frame as the log keeps it: finished but for what belongs to the link it goes
 * out on, at fixed places (AMQP 1.0 part 2 §2.3, §2.7.5).
 *
 *  0 size u32 | 4 data offset 2 | 5 type 0 | 6 channel u16
 *  8 00 53 14 c0 19 0b: described list of eleven fields, as there are clients that look each up
 * 14 70 handle u32 | 19 70 delivery id u32 | 24 a0 04 tag (4 bytes)
 * 30 43 message format 0 | 31 settled: 41 yes, 42 no | 32 more: 42 no, 41 yes
 * 33 40 40 40 40 40: receiver's settle mode, state, resume, aborted and batchable are not set
 * 38 the message
 */
export const frameHeadBytes = 38;

const channelAt = 6;
const handleAt = 15;
const deliveryIdAt = 20;
const tagAt = 26;
const settledAt = 31;
const moreAt = 32;
const yes = 0x41;
const no = 0x42;

const head = Buffer.alloc(frameHeadBytes);
head.set([2, 0], 4);
head.set([0x00, 0x53, 0x14, 0xc0, 0x19, 0x0b], 8);
head[14] = 0x70;
head[19] = 0x70;
head.set([0xa0, 0x04], 24);
// Settled when sent: saves a disposition per event on both sides.
head.set([0x43, yes, no, 0x40, 0x40, 0x40, 0x40, 0x40], 30);

/** Writes the head of a frame of so many bytes, the head among them. */
export function writeFrameHead(buffer: Buffer, at: number, frameBytes: number): void {
  buffer.set(head, at);
  buffer.writeUInt32BE(frameBytes, at);
}

/** The link that frames go out on. */
export interface FrameTarget {
  readonly channel: number;
  readonly handle: number;
  /** True: the receiver settles each delivery, as it asked for. */
  readonly isUnsettled: boolean;
}

function address(buffer: Buffer, at: number, target: FrameTarget, deliveryId: number): void {
  buffer.writeUInt16BE(target.channel, at + channelAt);
  buffer.writeUInt32BE(target.handle, at + handleAt);
  buffer.writeUInt32BE(deliveryId, at + deliveryIdAt);
  buffer.writeUInt32BE(deliveryId, at + tagAt);
  if (target.isUnsettled) buffer[at + settledAt] = no;
}

/** Makes a row of frames, one behind another, ready for a link: one delivery each. */
export function addressFrames(frames: Buffer, target: FrameTarget, firstDeliveryId: number): void {
  let deliveryId = firstDeliveryId;
  for (let at = 0; at < frames.length; at += frames.readUInt32BE(at)) {
    address(frames, at, target, deliveryId);
    deliveryId = (deliveryId + 1) >>> 0;
  }
}

/** One message as one delivery of as many frames as the peer's largest frame makes necessary. */
export function fragmentMessage(
  message: Buffer,
  frameBytesMax: number,
  target: FrameTarget,
  deliveryId: number,
): Buffer[] {
  const room = frameBytesMax - frameHeadBytes;
  const frames: Buffer[] = [];
  for (let start = 0; start === 0 || start < message.length; start += room) {
    const part = message.subarray(start, start + room);
    const frame = Buffer.allocUnsafe(frameHeadBytes + part.length);
    writeFrameHead(frame, 0, frame.length);
    address(frame, 0, target, deliveryId);
    if (start + room < message.length) frame[moreAt] = yes;
    frame.set(part, frameHeadBytes);
    frames.push(frame);
  }
  return frames;
}
