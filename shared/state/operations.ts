import { StreamError } from '../model/errors';
import { ByteReader, ByteWriter, ValueError } from './bytes';
import type { StateSection } from '../model/commit';

/**
 * What a section of a store's changes is made of: the store's kind, the length of the buckets of its time to
 * live (0: none), then operations. An operation is its code, a key, then what the code says; a code with
 * `sameKey` has the key of the operation before it. Numbers never change their meaning.
 */
export const operation = {
  put: 1,
  delete: 2,
  entryPut: 3,
  entryDelete: 4,
  entriesDelete: 5,
  append: 6,
  timerSet: 7,
  timerDelete: 8,
  /** Of the store, not of a key. */
  clock: 9,
} as const;
const sameKey = 0x80;

/** Kinds of stores by their number in a section. */
export const storeKinds = ['value', 'map', 'list', 'timers'] as const;
export type StoreKind = 0 | 1 | 2 | 3;

export interface StoreHead {
  readonly name: string;
  readonly kind: StoreKind;
  readonly bucketMs: number;
}

/** Writes sections, one store after the other. */
export class OperationWriter {
  readonly #out = new ByteWriter();
  #head: StoreHead | null = null;
  #key: string | null = null;
  #headBytes = 0;

  /** Bytes of the section under way. */
  get length(): number {
    return this.#out.length;
  }

  begin(head: StoreHead): void {
    this.#head = head;
    this.#key = null;
    this.#out.cut(0);
    this.#out.byte(head.kind);
    this.#out.varint(head.bucketMs);
    this.#headBytes = this.#out.length;
  }

  /** The section, and another one of the same store begins; null where nothing was written. */
  take(): StateSection | null {
    const head = this.#head;
    if (head === null || this.#out.length === this.#headBytes) return null;
    const section = { store: head.name, bytes: this.#out.copy() };
    this.#out.cut(this.#headBytes);
    this.#key = null;
    return section;
  }

  clock({
    clockBucket,
    firstBucket,
  }: {
    readonly clockBucket: number;
    readonly firstBucket: number;
  }): void {
    this.#out.byte(operation.clock);
    this.#out.value(firstBucket);
    this.#out.value(clockBucket);
  }

  /** Begins an operation; the writer takes what belongs to it. */
  operation(code: number, key: string): ByteWriter {
    if (key === this.#key) this.#out.byte(code | sameKey);
    else {
      this.#out.byte(code);
      this.#out.text(key);
      this.#key = key;
    }
    return this.#out;
  }

  /** Begins an operation that writes: stores with a time to live say when. */
  write(code: number, key: string, bucket: number): ByteWriter {
    const out = this.operation(code, key);
    if ((this.#head?.bucketMs ?? 0) > 0) out.value(bucket);
    return out;
  }
}

/** Carries out operations on a store. */
export interface OperationTarget {
  apply(code: number, key: string, reader: ByteReader): void;
}

/**
 * Reads a section, operation by operation, so that whoever loads a large one may pause between two.
 * @throws StreamError STREAM_LOG_CORRUPT: the bytes are no section
 */
export function* readSection(
  { bytes, store }: StateSection,
  targetOf: (head: StoreHead) => OperationTarget,
): Generator<void> {
  const reader = new ByteReader(bytes);
  try {
    const kind = reader.byte();
    if (storeKinds[kind] === undefined) throw unknownKind(store, kind);
    const bucketMs = reader.varint();
    const target = targetOf({ name: store, kind: kind as StoreKind, bucketMs });
    let key = '';
    while (!reader.isAtEnd) {
      const byte = reader.byte();
      const code = byte & ~sameKey;
      if (byte < sameKey && code !== operation.clock) key = reader.text();
      target.apply(code, key, reader);
      yield;
    }
  } catch (cause) {
    if (!(cause instanceof ValueError) && !(cause instanceof RangeError)) throw cause;
    throw new StreamError(
      'STREAM_LOG_CORRUPT',
      `changes of store ${store}, at byte ${reader.position} of ${bytes.byteLength}: ${cause.message}`,
      { cause, details: { store } },
    );
  }
}

function unknownKind(store: string, kind: number): StreamError {
  return new StreamError(
    'STREAM_LOG_VERSION_UNKNOWN',
    `store ${store} is of kind ${kind}, which this build does not know: deploy the newer build again`,
    { details: { store } },
  );
}
