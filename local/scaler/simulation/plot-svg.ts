import { bucketPeaks, shortNumber, type Curve } from './plot';

const width = 920;
const left = 76;
const right = 24;
const panelHeight = 110;
const panelGap = 46;
const top = 64;
const points = 440;
const ticks = 6;

const style = `
  .back { fill: #ffffff } .ink { fill: #1f2328 } .soft { fill: #59636e }
  .rule { stroke: #d1d9e0; stroke-width: 1 } .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
  .c0 { stroke: #0969da } .c1 { stroke: #bc4c00 } .c2 { stroke: #8250df } .c3 { stroke: #1a7f37 }
  .f0 { fill: #0969da } .f1 { fill: #bc4c00 }
  text { font: 12px system-ui, sans-serif } .title { font-size: 15px; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } .ink { fill: #f0f6fc } .soft { fill: #9198a1 } .rule { stroke: #3d444d }
    .c0 { stroke: #4493f8 } .c1 { stroke: #f0883e } .c2 { stroke: #ab7df8 } .c3 { stroke: #3fb950 }
    .f0 { fill: #4493f8 } .f1 { fill: #f0883e }
  }`;

interface Panel {
  readonly curves: readonly Curve[];
  readonly color: number;
}

/** A picture of the curves, with nothing outside itself, for light and dark pages. */
export function plotSvg(title: string, curves: readonly Curve[]): string {
  const [load, processed, ...others] = curves;
  const panels: Panel[] = [
    { curves: [load, processed].filter((curve) => curve !== undefined), color: 0 },
    ...others.map((curve, index) => ({ curves: [curve], color: 2 + (index % 2) })),
  ];
  const height = top + panels.length * (panelHeight + panelGap) + 8;
  const seconds = load?.values.length ?? 0;
  const body = panels.map((panel, index) =>
    panelOf(panel, top + index * (panelHeight + panelGap), seconds),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${style}</style>`,
    `<rect class="back" width="${width}" height="${height}"/>`,
    `<text class="ink title" x="${left}" y="26">${escaped(title)}</text>`,
    ...body,
    '</svg>\n',
  ].join('\n');
}

function panelOf({ color, curves }: Panel, y: number, seconds: number): string {
  const most = Math.max(0, ...curves.flatMap(({ values }) => bucketPeaks(values, points)));
  const bottom = y + panelHeight;
  const [first] = curves;
  const parts = [
    `<line class="rule" x1="${left}" y1="${y}" x2="${width - right}" y2="${y}"/>`,
    `<line class="rule" x1="${left}" y1="${bottom}" x2="${width - right}" y2="${bottom}"/>`,
    `<text class="soft" x="${left - 8}" y="${y + 4}" text-anchor="end">${shortNumber(most)}</text>`,
    `<text class="soft" x="${left - 8}" y="${bottom + 4}" text-anchor="end">0</text>`,
  ];
  if (curves.length > 1) {
    const labels = curves.map(
      ({ name }, index) =>
        `<tspan class="f${color + index}" dx="${index === 0 ? 0 : 10}">${name}</tspan>`,
    );
    parts.push(
      `<text x="${left}" y="${y - 7}">${labels.join('')}<tspan class="soft" dx="10">${first?.unit}</tspan></text>`,
    );
  } else {
    const label = first === undefined ? '' : [first.name, first.unit].filter(Boolean).join(', ');
    parts.push(`<text class="soft" x="${left}" y="${y - 7}">${escaped(label)}</text>`);
  }
  curves.forEach(({ values }, index) => {
    parts.push(`<path class="line c${color + index}" d="${pathOf(values, { most, y })}"/>`);
  });
  for (let tick = 0; tick <= ticks; tick += 1) {
    const x = left + (tick / ticks) * (width - left - right);
    parts.push(
      `<text class="soft" x="${x.toFixed(1)}" y="${bottom + 17}" text-anchor="middle">${clock((tick / ticks) * seconds)}</text>`,
    );
  }
  return parts.join('\n');
}

function pathOf(
  values: Float64Array,
  { most, y }: { readonly most: number; readonly y: number },
): string {
  const peaks = bucketPeaks(values, points);
  return peaks
    .map((peak, index) => {
      const x = left + (index / Math.max(1, peaks.length - 1)) * (width - left - right);
      const height = most === 0 ? 0 : (peak / most) * panelHeight;
      return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${(y + panelHeight - height).toFixed(1)}`;
    })
    .join('');
}

/** Hours and minutes, or minutes and seconds of what is short. */
function clock(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(seconds / 3_600)}:${two((seconds / 60) % 60)}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
