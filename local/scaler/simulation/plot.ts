import type { SimulationSeries } from './simulate';

/** One curve, for the terminal and for a picture. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly values: Float64Array;
}

/** What is drawn of a simulation. */
export function curvesOf(series: SimulationSeries, cumulativeUsd: Float64Array): readonly Curve[] {
  return [
    { name: 'load', unit: 'events/s', values: series.arrived },
    { name: 'processed', unit: 'events/s', values: series.processed },
    { name: 'lag', unit: 's', values: series.oldestSeconds },
    { name: 'instances', unit: '', values: series.allocated },
    { name: 'cost', unit: 'USD (Functions, storage)', values: cumulativeUsd },
  ];
}

/** The largest value of each of so many stretches. */
export function bucketPeaks(values: Float64Array, buckets: number): number[] {
  const count = Math.min(buckets, values.length);
  return Array.from({ length: count }, (_, bucket) => {
    const from = Math.floor((bucket * values.length) / count);
    const to = Math.floor(((bucket + 1) * values.length) / count);
    let most = 0;
    for (let index = from; index < to; index += 1) most = Math.max(most, values[index] ?? 0);
    return most;
  });
}

const blocks = ' ▁▂▃▄▅▆▇█';
const textWidth = 64;

/** A line of blocks per curve, each to its own peak. */
export function plotText(curves: readonly Curve[]): string {
  return curves
    .map(({ name, unit, values }) => {
      const peaks = bucketPeaks(values, textWidth);
      const most = Math.max(0, ...peaks);
      const bar = peaks
        .map((peak) => blocks[most === 0 ? 0 : Math.ceil((peak / most) * (blocks.length - 1))])
        .join('');
      return `${name.padEnd(10)}${bar}  ${shortNumber(most)} ${unit}`.trimEnd();
    })
    .join('\n');
}

/** 1,234,567 as 1.23 M. */
export function shortNumber(value: number): string {
  for (const [size, name] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (value >= size) return `${Number((value / size).toPrecision(3))}${name}`;
  }
  return String(Number(value.toPrecision(3)));
}
