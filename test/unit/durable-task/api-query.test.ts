// Goal: the management API reads its query parameters as the platform does, the same on every machine.
// Method: tables: a query in, the filter or the refusal out.
import { ApiQuery } from '../../../local/durable-task/api-query';
import { isPageToken } from '../../../local/durable-task/instance-store';

const queryOf = (text: string): ApiQuery => new ApiQuery(new URLSearchParams(text));

describe('several values of one parameter', () => {
  it.each([
    ['runtimeStatus=Completed,Failed', ['Completed', 'Failed']],
    ['runtimeStatus=Completed&runtimeStatus=Failed', ['Completed', 'Failed']],
    ['RuntimeStatus=completed,%20failed&runtimestatus=Pending', ['Completed', 'Failed', 'Pending']],
    ['runtimeStatus=', []],
    ['', []],
  ])('%s', (text, states) => {
    expect(queryOf(text).runtimeStatus()).toEqual(states);
  });

  it('are one text, joined by commas, where one is wanted', () => {
    expect(queryOf('reason=a&reason=b').freeText('reason')).toBe('a,b');
    expect(queryOf('showInput=false&showInput=false').flag('showInput', true)).toBe(true);
  });
});

describe('flags', () => {
  it.each([
    ['true', false, true],
    ['TRUE', false, true],
    ['%20True%20', false, true],
    ['False', true, false],
    ['1', false, false],
    ['yes', true, true],
    ['', true, true],
  ])('%s (else %s)', (text, fallback, is) => {
    expect(queryOf(`showHistory=${text}`).flag('showhistory', fallback)).toBe(is);
  });
});

describe('times', () => {
  it.each([
    ['2024-05-31', '2024-05-31T00:00:00.000Z'],
    ['2024-05-31T12:34:56', '2024-05-31T12:34:56.000Z'],
    ['2024-05-31 12:34', '2024-05-31T12:34:00.000Z'],
    ['2024-05-31T12:34:56.1234567Z', '2024-05-31T12:34:56.123Z'],
    ['2024-05-31T12:34:56%2B09:00', '2024-05-31T03:34:56.000Z'],
    ['2024-05-31T12:34:56+09:00', '2024-05-31T03:34:56.000Z'],
    ['2024-05-31T12:34:56-0330', '2024-05-31T16:04:56.000Z'],
    ['0001-01-01T00:00:00Z', '1601-01-01T00:00:00.000Z'],
  ])('%s is %s wherever it is read', (text, iso) => {
    expect(queryOf(`createdTimeFrom=${text}`).time('createdTimeFrom')?.toISOString()).toBe(iso);
  });

  it.each(['yesterday', '7', '2024-13-01', '2024-05-31T25:00:00Z', ''])('refuses %s', (text) => {
    expect(() => queryOf(`createdTimeTo=${text}`).time('createdTimeTo')).toThrow(
      /^createdTimeTo: '.*' is no time/,
    );
  });
});

describe('numbers', () => {
  it('of a page are whole and positive, and no more than a table gives', () => {
    expect(queryOf('').pageSize()).toBe(100);
    expect(queryOf('top=7').pageSize()).toBe(7);
    expect(queryOf('top=999999').pageSize()).toBe(1_000);
    for (const text of ['0', '-1', '1.5', 'all', '', '0x10']) {
      expect(() => queryOf(`top=${text}`).pageSize()).toThrow(/^top: /);
    }
  });

  it('of seconds are not negative and not for ever', () => {
    expect(queryOf('timeout=0.5').seconds('timeout')).toBe(0.5);
    expect(queryOf('').seconds('timeout')).toBeUndefined();
    for (const text of ['-1', 'NaN', 'Infinity', '1e9', 'soon', '']) {
      expect(() => queryOf(`timeout=${text}`).seconds('timeout')).toThrow(/^timeout: /);
    }
  });
});

describe('what could be no value', () => {
  it('is refused when it is too long', () => {
    const long = 'x'.repeat(1_025);
    expect(() => queryOf(`instanceIdPrefix=${long}`).instances()).toThrow(/1025 characters/);
    expect(queryOf(`reason=${long}`).freeText('reason')).toBe(long);
  });

  it('is refused when it is no state', () => {
    expect(() => queryOf('runtimeStatus=Completed,Complete').runtimeStatus()).toThrow(
      /'Complete' is none of Pending/,
    );
  });
});

describe('a continuation token', () => {
  const tokenOf = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

  it.each([
    [tokenOf({ nextPartitionKey: 'a', nextRowKey: '' }), true],
    [tokenOf({ nextPartitionKey: 'a' }), true],
    [tokenOf({ nextRowKey: 'a' }), false],
    [tokenOf({ nextPartitionKey: 1 }), false],
    [tokenOf(null), false],
    [tokenOf([]), false],
    ['bm90IGpzb24=', false],
    ['%%%', false],
    ['', false],
  ])('%s: %s', (token, is) => {
    expect(isPageToken(token)).toBe(is);
  });
});
