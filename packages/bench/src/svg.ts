/**
 * Small charts as SVG text: grouped bars, and lines on logarithmic axes. No fonts are embedded and no script
 * runs, so the same text stands in a page, in a file and in a printer. Pure: data in, text out.
 */
import { number } from './text.ts';

export interface Series {
  readonly name: string;
  /** One value a group; undefined leaves a gap. */
  readonly values: readonly (number | undefined)[];
}

export interface BarChart {
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly string[];
  readonly series: readonly Series[];
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly unit: string;
  readonly lines: readonly {
    readonly name: string;
    readonly points: readonly (readonly [number, number])[];
  }[];
}

/** Told apart also in grey, and by people who do not see red and green apart (Okabe and Ito). */
const COLOURS: readonly string[] = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'];
const INK = '#222222';
const FAINT = '#dddddd';
const FONT = 'font-family="system-ui, DejaVu Sans, sans-serif"';
const WIDTH = 760;

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

interface TextStyle {
  readonly size?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly weight?: string;
  readonly fill?: string;
}

function label(x: number, y: number, text: string, style: TextStyle = {}): string {
  const { size = 12, anchor = 'start', weight = 'normal', fill = INK } = style;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}" fill="${fill}">${escapeXml(text)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`;
}

function picture(height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}" ${FONT}>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    label(16, 26, title, { size: 16, weight: 'bold' }),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function legend(names: readonly string[], y: number): string[] {
  let x = 16;
  return names.flatMap((name, i) => {
    const at = x;
    x += 34 + name.length * 7.5;
    const colour = COLOURS[i % COLOURS.length];
    return [
      `<rect x="${at.toFixed(1)}" y="${y - 10}" width="12" height="12" fill="${colour}"/>`,
      label(at + 18, y, name),
    ];
  });
}

const BAR_HEIGHT = 16;
const GROUP_GAP = 14;

/**
 * Horizontal bars, one block a group. Each group has its own scale, its longest bar full: groups may differ by
 * orders of magnitude, and it is the sides within a group that are compared. Values stand beside the bars.
 */
export function barChart({ title, unit, groups, series }: BarChart): string {
  const left = 24 + Math.max(...groups.map((group) => group.length), 8) * 7;
  const room = WIDTH - left - 130;
  const parts = legend(
    series.map(({ name }) => name),
    50,
  );
  let y = 70;
  for (const [g, group] of groups.entries()) {
    const values = series.map(({ values: all }) => all[g]);
    const most = Math.max(...values.map((value) => value ?? 0));
    const height = series.length * (BAR_HEIGHT + 2);
    parts.push(label(left - 10, y + height / 2 + 4, group, { anchor: 'end' }));
    for (const [s, value] of values.entries()) {
      const top = y + s * (BAR_HEIGHT + 2);
      if (value !== undefined) {
        const width = most > 0 ? Math.max(1, (value / most) * room) : 1;
        const colour = COLOURS[s % COLOURS.length];
        parts.push(
          `<rect x="${left}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" fill="${colour}"/>`,
          label(left + width + 6, top + 12.5, `${number(value)} ${unit}`),
        );
      }
    }
    parts.push(line(left, y - 3, left, y + height + 1, INK));
    y += height + GROUP_GAP;
  }
  return picture(y + 6, title, parts);
}

/** Powers of ten around the values, at least one decade. */
export function decades(values: readonly number[]): { readonly low: number; readonly high: number } {
  const positive = values.filter((value) => value > 0);
  if (positive.length === 0) return { low: 0, high: 1 };
  const low = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const high = Math.ceil(Math.log10(Math.max(...positive)) - 1e-9);
  return { low, high: Math.max(high, low + 1) };
}

const LINE_HEIGHT = 340;

/** Both axes logarithmic; points at or below zero are left out. */
export function lineChart({ title, xLabel, unit, lines }: LineChart): string {
  const points = lines.flatMap((one) => one.points);
  const xs = decades(points.map(([x]) => x));
  const ys = decades(points.map(([, y]) => y));
  const [left, right, top, bottom] = [80, WIDTH - 24, 72, LINE_HEIGHT - 46];
  const xOf = (x: number): number => left + ((Math.log10(x) - xs.low) / (xs.high - xs.low)) * (right - left);
  const yOf = (y: number): number =>
    bottom - ((Math.log10(y) - ys.low) / (ys.high - ys.low)) * (bottom - top);
  const parts = legend(
    lines.map(({ name }) => name),
    50,
  );
  for (let power = xs.low; power <= xs.high; power++) {
    const x = xOf(10 ** power);
    parts.push(line(x, top, x, bottom, FAINT));
    parts.push(label(x, bottom + 18, tick(power), { anchor: 'middle' }));
  }
  for (let power = ys.low; power <= ys.high; power++) {
    const y = yOf(10 ** power);
    parts.push(line(left, y, right, y, FAINT));
    parts.push(label(left - 8, y + 4, `${tick(power)} ${unit}`, { anchor: 'end' }));
  }
  parts.push(line(left, bottom, right, bottom, INK), line(left, top, left, bottom, INK));
  parts.push(label((left + right) / 2, LINE_HEIGHT - 10, xLabel, { anchor: 'middle' }));
  for (const [i, { points: all }] of lines.entries()) {
    const colour = COLOURS[i % COLOURS.length];
    const shown = all.filter(([x, y]) => x > 0 && y > 0).map(([x, y]) => [xOf(x), yOf(y)] as const);
    const path = shown.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [x, y] of shown) {
      parts.push(`<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${colour}"/>`);
    }
  }
  return picture(LINE_HEIGHT, title, parts);
}

const tick = (power: number): string =>
  power >= 0 ? (10 ** power).toLocaleString('en-US') : String(10 ** power);
