// Goal: the entry point reads every shape in which hosts are known to hand a batch over, and the
// conformance runner's own reading of sequence numbers agrees.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InvocationContext } from '@azure/functions';
import { hubMessages } from '../../../functions/hub-messages';
import { toNumber, type Long } from '../../conformance/long';

interface Shape {
  readonly what: string;
  readonly bodies: readonly string[];
  readonly metadata: { readonly sequenceNumberArray: readonly Long[] };
  readonly reads?: {
    readonly partition: string;
    readonly sequenceNumbers: readonly number[];
    readonly enqueuedTimes: readonly string[];
  };
  readonly refuses?: string;
}

const file = join(__dirname, '../../conformance/shapes/trigger-metadata.json');
const shapes = JSON.parse(readFileSync(file, 'utf8')) as Shape[];

describe('a batch whose', () => {
  it.each(shapes.map((shape) => [shape.what, shape] as const))('%s', (_what, shape) => {
    const context = { triggerMetadata: shape.metadata } as unknown as InvocationContext;
    const read = () => hubMessages(shape.bodies, context);
    if (shape.reads === undefined) {
      expect(read).toThrow(shape.refuses ?? 'a reason');
      return;
    }
    const { messages, partition } = read();
    expect(partition).toBe(shape.reads.partition);
    expect(messages.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
      shape.reads.sequenceNumbers,
    );
    expect(shape.metadata.sequenceNumberArray.map(toNumber)).toEqual(shape.reads.sequenceNumbers);
    expect(messages.map(({ enqueuedTimeMs }) => enqueuedTimeMs)).toEqual(
      shape.reads.enqueuedTimes.map((time) => Date.parse(time)),
    );
  });
});
