/** Data as the host sends it to a language worker (RpcTypedData). */
export type TypedData = Readonly<Record<string, unknown>>;

/** A JSON value. The text is parsed by the functions library. */
export function jsonData(value: unknown): TypedData {
  return { json: JSON.stringify(value ?? null) };
}

/**
 * A list that the library hands on as it is. Over the wire this form carries long integers; host and
 * app share a process here, so a list of anything that JSON can hold goes the same way, and what the
 * app sees is the same without writing a text and parsing it again. The library copies trigger
 * metadata deeply and trigger input not at all: input must be made anew for every attempt.
 */
export function listData(values: readonly unknown[]): TypedData {
  return { collectionSint64: { sint64: values } };
}

/**
 * A list of objects that have the names already which the library would give them (first letter small).
 * The library would copy every object, name by name, to get the same: that costs more than all the rest
 * of a batch. Its copying is `list.map(copy)`, which here answers with the objects as they are.
 * They must be made anew for every attempt.
 */
export function readyListData(values: readonly object[]): TypedData {
  const list = [...values];
  list.map = (() => values) as unknown as typeof list.map;
  return listData(list);
}
