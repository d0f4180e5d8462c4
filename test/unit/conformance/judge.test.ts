// Goal: the conformance rules see a host that breaks them, and pass one that does not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HubCheck } from '../../conformance/check';
import { eventsOf, judge, type HubRecord, type Run } from '../../conformance/judge';

const checks = JSON.parse(
  readFileSync(join(__dirname, '../../conformance/checks/event-hubs.json'), 'utf8'),
) as HubCheck[];
const retries = checks.find(({ name }) => name === 'retry-repeats-the-batch') as HubCheck;
const sentAtMs = Date.UTC(2026, 0, 1);

/** What a right host records of that check: three attempts at partition 0, partition 1 meanwhile. */
function rightRun(): Run & { readonly records: HubRecord[] } {
  const [bad, elsewhere, after] = [0, 1, 2].map((step) => eventsOf(retries, step, 'r'));
  const attempt = (retryCount: number, startedAtMs: number): HubRecord =>
    recordOf('0', 5, bad, {
      retryCount,
      startedAtMs,
      outcome: retryCount < 2 ? 'threw' : 'returned',
    });
  return {
    run: 'r',
    sentAtMs,
    records: [
      attempt(0, 0),
      recordOf('1', 9, elsewhere, { retryCount: 0, startedAtMs: 500, outcome: 'returned' }),
      attempt(1, 1000),
      attempt(2, 2000),
      recordOf('0', 7, after, { retryCount: 0, startedAtMs: 3000, outcome: 'returned' }),
    ],
  };
}

function recordOf(
  partitionId: string,
  firstSequenceNumber: number,
  events: ReturnType<typeof eventsOf> = [],
  how: { retryCount: number; startedAtMs: number; outcome: 'threw' | 'returned' },
): HubRecord {
  const numbers = events.map((_event, index) => firstSequenceNumber + index);
  return {
    invocationId: `${partitionId}-${how.startedAtMs}`,
    startedAtMs: how.startedAtMs,
    endedAtMs: how.startedAtMs + 50,
    outcome: how.outcome,
    retryContext: { retryCount: how.retryCount },
    bodies: events.map(({ text = '' }) => ({
      kind: 'bytes',
      base64: Buffer.from(text).toString('base64'),
    })),
    metadata: {
      partitionContext: { partitionId },
      sequenceNumberArray: numbers.map((low) => ({ low, high: 0, unsigned: false })),
      propertiesArray: events.map(({ properties = {} }) => properties),
    },
    engine: {
      partition: partitionId,
      messages: numbers.map((sequenceNumber) => ({ sequenceNumber, enqueuedTimeMs: sentAtMs })),
    },
  };
}

const broken = (index: number, change: Partial<HubRecord>): string => {
  const { records, ...run } = rightRun();
  const changed = records.map((one, at) => (at === index ? { ...one, ...change } : one));
  return judge(retries, { ...run, records: changed }).join('\n');
};

describe('judging what a host did', () => {
  it('finds nothing in a right run', () => {
    expect(judge(retries, rightRun())).toEqual([]);
  });

  it('finds a retry that is not counted, or has the id of the one before', () => {
    expect(broken(2, { retryContext: { retryCount: 0 } })).toContain(
      'attempts were counted 0, 0, 2',
    );
    expect(broken(2, { invocationId: '0-0' })).toContain('two invocations have one id');
  });

  it('finds an invocation too few, too many, or with another end', () => {
    const { records, ...run } = rightRun();
    const [first] = records;
    if (first === undefined) throw new Error('no record');
    expect(judge(retries, { ...run, records: records.slice(0, -1) })[0]).toContain('not at all');
    expect(judge(retries, { ...run, records: [first, ...records] })[0]).toContain(
      'threw, threw, threw, returned',
    );
    expect(broken(3, { outcome: 'threw' })).toContain(
      'threw, threw, threw, not threw, threw, returned',
    );
  });

  it('finds two batches of one partition at a time', () => {
    expect(broken(2, { startedAtMs: 20 })).toContain('partition 0: two batches at a time');
  });

  it('finds a partition that had to wait for another one’s retries', () => {
    const { records, ...run } = rightRun();
    const late = records.map((one, at) => (at === 1 ? { ...one, startedAtMs: 2500 } : one));
    expect(judge(retries, { ...run, records: late }).join()).toContain('had to wait for step 0');
  });

  it('finds another body', () => {
    expect(broken(4, { bodies: [{ kind: 'text', text: 'AFTER' }] })).toContain('a body came as');
  });

  it('finds sequence numbers that go back or leave a hole', () => {
    const { metadata } = rightRun().records[0] as HubRecord;
    const hole = { ...metadata, sequenceNumberArray: [5, 7] };
    expect(broken(0, { metadata: hole })).toContain('a batch has 5, 7');
    const back = rightRun().records[4] as HubRecord;
    expect(broken(4, { metadata: { ...back.metadata, sequenceNumberArray: [3] } })).toContain(
      '3 was delivered after 6',
    );
  });

  it('finds arrivals that are read in another time zone', () => {
    const record = rightRun().records[4] as HubRecord;
    const messages = [{ sequenceNumber: 7, enqueuedTimeMs: sentAtMs - 3_600_000 }];
    expect(broken(4, { engine: { ...record.engine, partition: '0', messages } })).toContain(
      'the engine reads an arrival',
    );
  });
});
