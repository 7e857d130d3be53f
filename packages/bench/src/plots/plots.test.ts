import { crc32, inflateSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { barChart, linearAxis, lineChart, logAxis, panelChart } from './charts.ts';
import { label, rect, type Drawing } from './drawing.ts';
import { textStrokes, textWidth } from './glyphs.ts';
import { encodePng } from './png.ts';
import { toPng } from './raster.ts';
import { toSvg } from './svg.ts';

interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly at: (x: number, y: number) => readonly number[];
}

/** A reader of our own PNG files that checks what it reads. */
function decode(file: Buffer): Decoded {
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(body));
    chunks.set(body.toString('latin1', 0, 4), body.subarray(4));
    at += 12 + length;
  }
  expect([...chunks.keys()]).toEqual(['IHDR', 'IDAT', 'IEND']);
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  expect([...header.subarray(8)]).toEqual([8, 2, 0, 0, 0]);
  const rows = inflateSync(chunks.get('IDAT')!);
  const stride = width * 3;
  expect(rows).toHaveLength((stride + 1) * height);
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    expect(rows[y * (stride + 1)]).toBe(2);
    for (let i = 0; i < stride; i++) {
      const above = y === 0 ? 0 : pixels[(y - 1) * stride + i];
      pixels[y * stride + i] = above + rows[y * (stride + 1) + 1 + i];
    }
  }
  return { width, height, at: (x, y) => [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)] };
}

test('a PNG holds the pixels it was given', () => {
  const pixels = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => (i * 37) % 256);
  const { width, height, at } = decode(encodePng(5, 3, pixels));
  expect([width, height]).toEqual([5, 3]);
  for (let y = 0; y < 3; y++)
    for (let x = 0; x < 5; x++)
      expect(at(x, y)).toEqual([...pixels.subarray((y * 5 + x) * 3, (y * 5 + x) * 3 + 3)]);
  expect(() => encodePng(5, 3, pixels.subarray(1))).toThrow(RangeError);
});

test('a drawing as pixels: twice as large, boxes where they are, letters in ink', () => {
  const drawing: Drawing = {
    title: 'T',
    width: 60,
    height: 30,
    shapes: [
      rect(10, 10, 20, 5, 0),
      { kind: 'dot', x: 45, y: 20, radius: 4, fill: 1 },
      {
        kind: 'line',
        points: [
          [2, 28],
          [58, 28],
        ],
        stroke: 'ink',
        width: 2,
      },
    ],
  };
  const { width, height, at } = decode(toPng(drawing));
  expect([width, height]).toEqual([120, 60]);
  expect(at(0, 0)).toEqual([255, 255, 255]);
  expect(at(40, 25)).toEqual([0x00, 0x72, 0xb2]);
  expect(at(18, 25)).toEqual([255, 255, 255]);
  expect(at(90, 40)).toEqual([0xe6, 0x9f, 0x00]);
  expect(at(60, 56)).toEqual([0x1f, 0x23, 0x28]);
  // Half a pixel of the drawing is one of the file, half covered.
  const half = decode(toPng({ ...drawing, shapes: [rect(0.25, 0, 10, 10, 'ink')] }));
  expect(half.at(0, 4)[0]).toBeGreaterThan(0x1f);
  expect(half.at(0, 4)[0]).toBeLessThan(255);
});

test('what reaches beyond the paper is cut off', () => {
  const drawing: Drawing = { title: '', width: 10, height: 10, shapes: [rect(-5, -5, 100, 100, 'ink')] };
  expect(decode(toPng(drawing)).at(19, 19)).toEqual([0x1f, 0x23, 0x28]);
});

test('every letter that reports use has strokes of its own', () => {
  const used =
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?\'"-–+=×*/\\|()[]<>≤≥%#@&$_…·→µ°';
  const unknown = JSON.stringify(textStrokes('☃', 0, 0, 10));
  for (const letter of used) {
    const strokes = textStrokes(letter, 0, 0, 10);
    expect([letter, JSON.stringify(strokes) === unknown]).toEqual([letter, false]);
    expect(strokes.flat().flat().every(Number.isFinite)).toBe(true);
  }
  expect(textWidth('', 12)).toBe(0);
  expect(textWidth('ab', 12)).toBeGreaterThan(textWidth('a', 12));
  expect(textWidth('a', 24)).toBeCloseTo(2 * textWidth('a', 12), 9);
});

const bars = barChart({
  title: 'T <&> "quoted"',
  unit: 'ms',
  groups: ['one', 'two'],
  series: [
    { name: 'a', values: [10, undefined] },
    { name: 'b', values: [5, 7] },
  ],
});

test('bars: the longest of a group is full, a missing value leaves a dash', () => {
  const widths = bars.shapes.flatMap((shape) =>
    shape.kind === 'rect' && shape.height === 16 ? [shape.width] : [],
  );
  expect(widths).toHaveLength(3);
  expect(widths[0]).toBeCloseTo(2 * widths[1], 6);
  expect(widths[2]).toBeCloseTo(widths[0], 6);
  expect(bars.shapes.some((shape) => shape.kind === 'text' && shape.text === '–')).toBe(true);
});

test('SVG: escaped, with a style sheet only when it stands alone', () => {
  const alone = toSvg(bars, true);
  expect(alone).toContain('aria-label="T &lt;&amp;&gt; &quot;quoted&quot;"');
  expect(alone).toContain('prefers-color-scheme:dark');
  expect(toSvg(bars, false)).not.toContain('<style>');
  expect(alone).not.toMatch(/NaN|Infinity|undefined/);
});

test('lines stay inside their frame, and points without a logarithm are left out', () => {
  const points = [
    [1000, 50],
    [10_000, 0],
    [1_000_000, 90],
  ] as const;
  const chart = { title: 'T', xLabel: 'keys', unit: 'µs', lines: [{ name: 'a', points }] };
  const log = lineChart({ ...chart, x: 'log', y: 'log' });
  expect(log.shapes.filter(({ kind }) => kind === 'dot')).toHaveLength(2);
  const linear = lineChart({ ...chart, x: 'log', y: 'linear' });
  const dots = linear.shapes.filter((shape) => shape.kind === 'dot');
  expect(dots).toHaveLength(3);
  for (const { x, y } of dots) {
    expect(x >= 0 && x <= linear.width && y >= 0 && y <= linear.height).toBe(true);
  }
  expect(toSvg(log, true) + toSvg(linear, true)).not.toMatch(/NaN|Infinity|undefined/);
});

test('a chart of nothing is still a picture', () => {
  const empty = lineChart({
    title: 'T',
    xLabel: 'x',
    unit: '',
    x: 'linear',
    y: 'log',
    lines: [{ name: 'a', points: [] }],
  });
  decode(toPng(empty));
  expect(toSvg(empty, true)).not.toMatch(/NaN|Infinity|undefined/);
});

test('panels: one for each load, the names of the steps below', () => {
  const drawing = panelChart({
    title: 'T',
    unit: 'ms',
    names: ['a', 'b'],
    steps: ['p50', 'p99'],
    panels: [1, 2, 3, 4].map((n) => ({
      title: `load ${n}`,
      lines: [
        {
          name: 'a',
          points: [
            [0, n],
            [1, 10 * n],
          ],
        },
      ],
    })),
  });
  const texts = drawing.shapes.flatMap((shape) => (shape.kind === 'text' ? [shape.text] : []));
  expect(texts.filter((text) => text === 'p99')).toHaveLength(4);
  expect(texts).toContain('load 4');
});

test.each([1, 2, 3, 4])('%i panels fill the width', (count) => {
  const { width, shapes } = panelChart({
    title: 'T',
    unit: 'ms',
    names: ['a'],
    steps: ['p50', 'p99'],
    panels: Array.from({ length: count }, (_, n) => ({ title: `load ${n}`, lines: [] })),
  });
  const ends = shapes.flatMap((shape) => (shape.kind === 'line' ? shape.points.map(([x]) => x) : []));
  expect(Math.max(...ends)).toBeGreaterThan(0.95 * width);
});

test.each<[number[], number[]]>([
  [[], [1, 10]],
  [
    [1000, 1_000_000],
    [1000, 10_000, 100_000, 1_000_000],
  ],
  [
    [50, 90],
    [10, 100],
  ],
  [[100], [100, 1000]],
])('a logarithmic axis of %j', (values, ticks) => {
  expect(logAxis(values).ticks).toEqual(ticks);
});

test.each<[number[], number[]]>([
  [[], [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [[10], [0, 2, 4, 6, 8, 10]],
  [
    [3, 97],
    [0, 20, 40, 60, 80, 100],
  ],
  [[12], [0, 2.5, 5, 7.5, 10, 12.5]],
])('a linear axis of %j', (values, ticks) => {
  expect(linearAxis(values).ticks.map((tick) => Number(tick.toFixed(6)))).toEqual(ticks);
  expect(linearAxis(values).place(ticks[ticks.length - 1])).toBeCloseTo(1, 9);
});

test('a label is placed by its anchor', () => {
  const left = decode(toPng({ title: '', width: 40, height: 20, shapes: [label(20, 15, 'III')] }));
  const right = decode(
    toPng({ title: '', width: 40, height: 20, shapes: [label(20, 15, 'III', { anchor: 'end' })] }),
  );
  const inked = (picture: Decoded, from: number, to: number): boolean => {
    for (let x = from; x < to; x++) if (picture.at(x, 24)[0] < 128) return true;
    return false;
  };
  expect([inked(left, 0, 38), inked(left, 39, 80)]).toEqual([false, true]);
  expect([inked(right, 0, 41), inked(right, 43, 80)]).toEqual([true, false]);
});
