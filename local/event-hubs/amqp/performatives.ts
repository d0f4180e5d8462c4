/**
 * The composite types of AMQP 1.0 that travel in frames (part 2 §2.7 and §2.8, part 3 §3.4 and §3.5,
 * part 5 §5.3.3): their fields in order, what each may be, and the limits the protocol sets.
 */

export type FieldType =
  | 'binary'
  | 'boolean'
  | 'map'
  | 'string'
  | 'symbol'
  | 'symbols'
  | 'ubyte'
  | 'uint'
  | 'ulong'
  | 'ushort'
  | 'error'
  | 'outcome'
  | 'source'
  | 'target';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly isMandatory: boolean;
  /** The largest number, or the most bytes of a binary; null: what the type holds. */
  readonly max: number | null;
}

export interface Composite {
  readonly name: string;
  readonly fields: readonly Field[];
}

/** `name type`, an exclamation mark behind a field that must be there, `<= n` behind a limit. */
function composite(name: string, ...fields: readonly string[]): Composite {
  return {
    name,
    fields: fields.map((text) => {
      const [field = '', type = '', , max] = text.split(' ');
      return {
        name: field,
        type: type.replace('!', '') as FieldType,
        isMandatory: type.endsWith('!'),
        max: max === undefined ? null : Number(max),
      };
    }),
  };
}

const capabilities = ['offered-capabilities symbols', 'desired-capabilities symbols'];

const terminus = [
  'address string',
  'durable uint <= 2',
  'expiry-policy symbol',
  'timeout uint',
  'dynamic boolean',
  'dynamic-node-properties map',
];

export const code = {
  open: 0x10,
  begin: 0x11,
  attach: 0x12,
  flow: 0x13,
  transfer: 0x14,
  error: 0x1d,
  source: 0x28,
  target: 0x29,
} as const;

/** By their descriptors. */
export const composites: ReadonlyMap<number, Composite> = new Map([
  [
    code.open,
    composite(
      'open',
      ...['container-id string!', 'hostname string', 'max-frame-size uint', 'channel-max ushort'],
      ...['idle-time-out uint', 'outgoing-locales symbols', 'incoming-locales symbols'],
      ...[...capabilities, 'properties map'],
    ),
  ],
  [
    code.begin,
    composite(
      'begin',
      ...['remote-channel ushort', 'next-outgoing-id uint!', 'incoming-window uint!'],
      ...['outgoing-window uint!', 'handle-max uint', ...capabilities, 'properties map'],
    ),
  ],
  [
    code.attach,
    composite(
      'attach',
      ...['name string!', 'handle uint!', 'role boolean!', 'snd-settle-mode ubyte <= 2'],
      ...['rcv-settle-mode ubyte <= 1', 'source source', 'target target', 'unsettled map'],
      ...['incomplete-unsettled boolean', 'initial-delivery-count uint', 'max-message-size ulong'],
      ...[...capabilities, 'properties map'],
    ),
  ],
  [
    code.flow,
    composite(
      'flow',
      ...['next-incoming-id uint', 'incoming-window uint!', 'next-outgoing-id uint!'],
      ...['outgoing-window uint!', 'handle uint', 'delivery-count uint', 'link-credit uint'],
      ...['available uint', 'drain boolean', 'echo boolean', 'properties map'],
    ),
  ],
  [
    code.transfer,
    composite(
      'transfer',
      ...['handle uint!', 'delivery-id uint', 'delivery-tag binary <= 32', 'message-format uint'],
      ...['settled boolean', 'more boolean', 'rcv-settle-mode ubyte <= 1', 'state outcome'],
      ...['resume boolean', 'aborted boolean', 'batchable boolean'],
    ),
  ],
  [
    0x15,
    composite(
      'disposition',
      ...['role boolean!', 'first uint!', 'last uint', 'settled boolean', 'state outcome'],
      'batchable boolean',
    ),
  ],
  [0x16, composite('detach', 'handle uint!', 'closed boolean', 'error error')],
  [0x17, composite('end', 'error error')],
  [0x18, composite('close', 'error error')],
  [code.error, composite('error', 'condition symbol!', 'description string', 'info map')],
  [0x23, composite('received', 'section-number uint!', 'section-offset ulong!')],
  [0x24, composite('accepted')],
  [0x25, composite('rejected', 'error error')],
  [0x26, composite('released')],
  [
    0x27,
    composite(
      'modified',
      ...['delivery-failed boolean', 'undeliverable-here boolean', 'message-annotations map'],
    ),
  ],
  [
    code.source,
    composite(
      'source',
      ...[...terminus, 'distribution-mode symbol', 'filter map', 'default-outcome outcome'],
      ...['outcomes symbols', 'capabilities symbols'],
    ),
  ],
  [code.target, composite('target', ...terminus, 'capabilities symbols')],
  [0x40, composite('sasl-mechanisms', 'sasl-server-mechanisms symbols!')],
  [0x41, composite('sasl-init', 'mechanism symbol!', 'initial-response binary', 'hostname string')],
  [0x42, composite('sasl-challenge', 'challenge binary!')],
  [0x43, composite('sasl-response', 'response binary!')],
  [0x44, composite('sasl-outcome', 'code ubyte! <= 4', 'additional-data binary')],
]);

/** Those of part 3 §3.4 are the delivery states; `received` is one too, though no outcome. */
export const isDeliveryState = (descriptor: number): boolean =>
  descriptor >= 0x23 && descriptor <= 0x27;

const symbolicCodes = new Map(
  Array.from(composites, ([number, { name }]) => [`amqp:${name}:list`, number]),
);

/** A descriptor's number: it comes as that, or as a symbol. */
export function descriptorCode(descriptor: string | number | undefined): number | undefined {
  return typeof descriptor === 'string' ? symbolicCodes.get(descriptor) : descriptor;
}
