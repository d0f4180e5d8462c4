// Goal: no whole number is rounded in silence; all others are read as they always were.
import fc from 'fast-check';
import { Type } from 'typebox';
import { decodeMessage } from '../../../shared/ingest/decode';
import { settleInexact, withSafeIntegers } from '../../../shared/execution/exact-numbers';
import { Compile } from 'typebox/compile';

/** The value as a function of the topology gets it, or why it gets none. */
function read(text: string, schema: ReturnType<typeof Type.Object>): unknown {
  const [event] = decodeMessage(Buffer.from(text));
  if (event === undefined || !event.ok) throw new Error('it did not decode');
  const settled = settleInexact(schema, event.value, event.inexact ?? []);
  if ('fault' in settled) return settled.fault;
  return Compile(withSafeIntegers(schema)).Check(settled.value) ? settled.value : 'refused';
}

const integer = Type.Object({ id: Type.Integer() });
const number = Type.Object({ id: Type.Number() });

describe('a number that JavaScript cannot hold', () => {
  it.each([
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '1524831183200260097',
    '1524831183200260096',
    '123456789012345678901234567890',
    '9007199254740991.4',
    '0.99999999999999999',
    '5.0000000000000000000001',
    '999999999999999.9999999',
    `${'9'.repeat(400)}`,
  ])('%s is refused as an integer, with its field and what to do', (token) => {
    expect(read(`{"id":${token}}`, integer)).toMatch(
      /^\/id is .* cannot hold here .*send it as text and declare it Type\.String\(\)$/,
    );
  });

  it.each(['1e16', '1e20', '1e400', '9.1e15'])('%s is refused as an integer', (token) => {
    expect(read(`{"id":${token}}`, integer)).toBe('refused');
  });

  it.each([
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['1767225600000', 1767225600000],
    ['1.0', 1],
    ['12e2', 1200],
    ['1.00000000000000000000', 1],
    ['100000000000000000000e-19', 10],
    ['0.000000000000000000000', 0],
  ])('%s is the integer that it spells', (token, id) => {
    expect(read(`{"id":${token}}`, integer)).toEqual({ id });
  });

  it.each([
    ['0.1234567890123456789', 0.12345678901234568],
    ['9007199254740991.4', 9007199254740991],
    ['1e20', 1e20],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['18446744073709552000', 18446744073709552000],
    ['9007199254740992', 9007199254740992],
  ])('%s is the nearest double where the schema says number', (token, id) => {
    expect(read(`{"id":${token}}`, number)).toEqual({ id });
  });

  it.each(['9007199254740993', '1524831183200260097', '1524831183200260096'])(
    '%s is refused as a number: its digits would be others',
    (token) => {
      expect(read(`{"id":${token}}`, number)).toMatch(/cannot hold/);
    },
  );

  it('is text where nothing says what it is, at any depth, whatever the key', () => {
    const schema = Type.Object({ any: Type.Any(), list: Type.Array(Type.Unknown()) });
    const big = '1524831183200260097';
    const text = `{"any":{"__proto__":${big},"constructor":[1,${big}]},"list":[${big},"${big}",2],"more":${big},"small":1}`;
    const value = read(text, schema) as Record<string, unknown>;
    expect(JSON.stringify(value)).toBe(
      text.replaceAll(`"${big}"`, big).replaceAll(big, `"${big}"`),
    );
  });

  it('is judged by the last of two keys of one name, as all values are', () => {
    const any = Type.Object({ id: Type.Any() });
    expect(read('{"id":9007199254740993,"id":1}', any)).toEqual({ id: 1 });
    expect(read('{"id":1,"id":9007199254740993}', any)).toEqual({ id: '9007199254740993' });
    expect(read('{"id":9007199254740995,"id":9007199254740997}', any)).toEqual({
      id: '9007199254740997',
    });
  });

  it('is found behind records, tuples, unions and references', () => {
    const big = '9007199254740993';
    const record = Type.Object({ id: Type.Record(Type.String(), Type.Integer()) });
    expect(read(`{"id":{"a/b":${big}}}`, record)).toMatch(/^\/id\/a\/b is/);
    const tuple = Type.Object({ id: Type.Tuple([Type.String(), Type.Integer()]) });
    expect(read(`{"id":["x",${big}]}`, tuple)).toMatch(/^\/id\/1 is/);
    const union = Type.Object({ id: Type.Union([Type.Integer(), Type.Null()]) });
    expect(read(`{"id":${big}}`, union)).toMatch(/^\/id is/);
    const node = Type.Cyclic(
      { Node: Type.Object({ n: Type.Integer(), next: Type.Optional(Type.Ref('Node')) }) },
      'Node',
    );
    const cyclic = Type.Object({ id: node });
    expect(read(`{"id":{"n":1,"next":{"n":${big}}}}`, cyclic)).toMatch(/^\/id\/next\/n is/);
  });

  it('leaves every other message as JSON.parse reads it', () => {
    const safe = fc.jsonValue().filter((value) => JSON.stringify(value).length > 0);
    fc.assert(
      fc.property(fc.array(safe, { minLength: 1 }), (list) => {
        const text = JSON.stringify({ list }, null, 1);
        const [event] = decodeMessage(Buffer.from(text));
        expect(event).toMatchObject({ ok: true, value: JSON.parse(text) as unknown });
        // JavaScript writes no double with digits that it does not read back.
        if (event?.ok !== true) return;
        for (const { token } of event.inexact ?? []) expect(String(Number(token))).toBe(token);
      }),
    );
  });
});
