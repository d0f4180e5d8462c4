// Goal: plots show the peaks, stand alone and are well formed.
import { bucketPeaks, plotText, shortNumber } from '../../../local/scaler/simulation/plot';
import { plotSvg } from '../../../local/scaler/simulation/plot-svg';

const curve = (name: string, values: readonly number[]) => ({
  name,
  unit: 'events/s',
  values: Float64Array.from(values),
});

describe('bucketPeaks', () => {
  it('keeps each stretch’s largest, and never asks for more than there is', () => {
    const values = Float64Array.from([1, 9, 2, 3, 4, 8]);
    expect(bucketPeaks(values, 3)).toEqual([9, 3, 8]);
    expect(bucketPeaks(values, 100)).toEqual([1, 9, 2, 3, 4, 8]);
    expect(bucketPeaks(new Float64Array(0), 5)).toEqual([]);
  });
});

describe('plotText', () => {
  it('draws each curve to its own peak; only nothing is blank', () => {
    expect(plotText([curve('load', [0, 1, 400, 800]), curve('lag', [0, 0, 0, 0])])).toBe(
      'load       ▁▄█  800 events/s\nlag             0 events/s',
    );
  });
});

describe('shortNumber', () => {
  it.each([
    [0, '0'],
    [12.345, '12.3'],
    [1_000, '1 k'],
    [1_234_567, '1.23 M'],
    [5.184e10, '51.8 G'],
  ])('%d is %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});

describe('plotSvg', () => {
  const names = ['load', 'processed', 'lag', 'instances', 'cost'];
  const day = Array.from({ length: 86_400 }, (_, second) => Math.sin(second / 9_000) + 1);
  const svg = plotSvg(
    'a <b> & "c"',
    names.map((name) => curve(name, day)),
  );

  it('is well formed', () => {
    const open: string[] = [];
    for (const [, end, name, empty] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (end === '/') expect(open.pop()).toBe(name);
      else if (empty === '') open.push(name ?? '');
    }
    expect(open).toEqual([]);
    expect(svg).toContain('a &#60;b&#62; &#38; &#34;c&#34;');
  });

  it('stands alone, and knows light and dark', () => {
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|href|url\(|@import/);
    expect(svg).toContain('prefers-color-scheme: dark');
  });

  it('draws every curve within the picture, whatever its length', () => {
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
    const paths = Array.from(svg.matchAll(/<path[^>]* d="([^"]+)"/g), ([, path]) => path ?? '');
    expect(paths).toHaveLength(names.length);
    for (const path of paths) {
      for (const [, x, y] of path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)) {
        expect(Number(x)).toBeLessThanOrEqual(Number(width));
        expect(Number(y)).toBeLessThanOrEqual(Number(height));
      }
    }
    expect(svg.length).toBeLessThan(60_000);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('draws nothing of nothing', () => {
    expect(plotSvg('empty', [curve('load', [])])).not.toMatch(/NaN|Infinity|undefined/);
  });
});
