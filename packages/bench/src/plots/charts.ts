/**
 * Charts as drawings: grouped bars, lines over logarithmic or linear axes, and a sheet of small panels. Only what
 * the reports need. Pure: figures in, shapes out.
 */
import { number } from '../text.ts';
import { label, line, rect, type Drawing, type Shape } from './drawing.ts';
import { textWidth } from './glyphs.ts';

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

export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
  /** Its colour; its place in the list when left out. */
  readonly shade?: number;
}

export type Scale = 'log' | 'linear';

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly unit: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly lines: readonly Curve[];
}

const WIDTH = 760;
const MARGIN = 16;
const BAR_HEIGHT = 16;
const GROUP_GAP = 14;
/** More points than this a line are no longer told apart: no dots then. */
const DOTS_MAX = 40;

function picture(height: number, title: string, shapes: readonly Shape[]): Drawing {
  return {
    title,
    width: WIDTH,
    height: Math.ceil(height),
    shapes: [label(MARGIN, 26, title, { size: 16, bold: true }), ...shapes],
  };
}

interface Legend {
  readonly shapes: Shape[];
  /** Where what comes next may begin. */
  readonly bottom: number;
}

function legend(entries: readonly { readonly name: string; readonly shade: number }[], top: number): Legend {
  let [x, y] = [MARGIN, top];
  const shapes = entries.flatMap(({ name, shade }) => {
    const width = 18 + textWidth(name, 12) + 20;
    if (x > MARGIN && x + width > WIDTH - MARGIN) [x, y] = [MARGIN, y + 18];
    const at = x;
    x += width;
    return [rect(at, y - 10, 12, 12, shade), label(at + 18, y, name)];
  });
  return { shapes, bottom: y + 20 };
}

/**
 * Horizontal bars, one block a group. Each group has its own scale, its longest bar full: groups may differ by
 * orders of magnitude, and it is the sides within a group that are compared. Values stand beside the bars.
 */
export function barChart({ title, unit, groups, series }: BarChart): Drawing {
  const left = MARGIN + 12 + Math.max(...groups.map((group) => textWidth(group, 12)), 50);
  const room = WIDTH - left - 120;
  const { shapes, bottom } = legend(
    series.map(({ name }, shade) => ({ name, shade })),
    50,
  );
  let y = bottom;
  for (const [g, group] of groups.entries()) {
    const values = series.map(({ values: all }) => all[g]);
    const most = Math.max(...values.map((value) => value ?? 0));
    const height = series.length * (BAR_HEIGHT + 2);
    shapes.push(label(left - 10, y + height / 2 + 3, group, { anchor: 'end' }));
    for (const [s, value] of values.entries()) {
      const top = y + s * (BAR_HEIGHT + 2);
      if (value === undefined) {
        shapes.push(label(left + 6, top + 12.5, '–', { fill: 'muted' }));
        continue;
      }
      const width = most > 0 ? Math.max(1, (value / most) * room) : 1;
      shapes.push(rect(left, top, width, BAR_HEIGHT, s));
      shapes.push(label(left + width + 6, top + 12.5, `${number(value)} ${unit}`));
    }
    shapes.push(line(left, y - 3, left, y + height + 1, 'ink'));
    y += height + GROUP_GAP;
  }
  return picture(y + 6, title, shapes);
}

export interface Axis {
  readonly ticks: readonly number[];
  /** 0 at the low end, 1 at the high one. */
  place(value: number): number;
}

/** Powers of ten around the values, at least one decade. */
export function logAxis(values: readonly number[]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = positive.length === 0 ? 0 : Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const top = positive.length === 0 ? 1 : Math.ceil(Math.log10(Math.max(...positive)) - 1e-9);
  const high = Math.max(top, low + 1);
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
    place: (value) => (Math.log10(value) - low) / (high - low),
  };
}

/** From zero to a round number above the largest value, in four to eight round steps. */
export function linearAxis(values: readonly number[]): Axis {
  const most = Math.max(0, ...values) || 1;
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((nice) => nice * power >= rough) ?? 10) * power;
  const count = Math.ceil(most / step - 1e-9);
  return {
    ticks: Array.from({ length: count + 1 }, (_, i) => i * step),
    place: (value) => value / (count * step),
  };
}

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const tick = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 3 });

/** What can be drawn on these scales: a logarithm has no zero. */
function shown({ points }: Curve, x: Scale, y: Scale): (readonly [number, number])[] {
  return points.filter(
    ([px, py]) =>
      Number.isFinite(px) && Number.isFinite(py) && (x === 'linear' || px > 0) && (y === 'linear' || py > 0),
  );
}

function axisOf(scale: Scale, values: readonly number[]): Axis {
  return scale === 'log' ? logAxis(values) : linearAxis(values);
}

/** @param size of the text at the axes */
function plot(frame: Frame, chart: Omit<LineChart, 'title'>, size: number): Shape[] {
  const { left, right, top, bottom } = frame;
  const curves = chart.lines.map((curve, i) => ({
    shade: curve.shade ?? i,
    points: shown(curve, chart.x, chart.y),
  }));
  const points = curves.flatMap((curve) => curve.points);
  const xs = axisOf(
    chart.x,
    points.map(([x]) => x),
  );
  const ys = axisOf(
    chart.y,
    points.map(([, y]) => y),
  );
  const xOf = (x: number): number => left + xs.place(x) * (right - left);
  const yOf = (y: number): number => bottom - ys.place(y) * (bottom - top);
  const shapes: Shape[] = [];
  for (const value of xs.ticks) {
    shapes.push(line(xOf(value), top, xOf(value), bottom, 'faint'));
    shapes.push(label(xOf(value), bottom + size + 5, tick(value), { size, anchor: 'middle', fill: 'muted' }));
  }
  for (const value of ys.ticks) {
    const text = `${tick(value)} ${chart.unit}`.trim();
    shapes.push(line(left, yOf(value), right, yOf(value), 'faint'));
    shapes.push(label(left - 6, yOf(value) + size / 3, text, { size, anchor: 'end', fill: 'muted' }));
  }
  shapes.push(line(left, bottom, right, bottom, 'ink'), line(left, top, left, bottom, 'ink'));
  for (const { points: all, shade } of curves) {
    const placed = all.map(([x, y]) => [xOf(x), yOf(y)] as const);
    if (placed.length > 1) shapes.push({ kind: 'line', points: placed, stroke: shade, width: 2 });
    if (placed.length > DOTS_MAX) continue;
    for (const [x, y] of placed) shapes.push({ kind: 'dot', x, y, radius: 3, fill: shade });
  }
  return shapes;
}

const LINE_HEIGHT = 340;

/** Points that a logarithmic axis cannot show are left out. */
export function lineChart(chart: LineChart): Drawing {
  const entries = chart.lines.map(({ name, shade }, i) => ({ name, shade: shade ?? i }));
  const { shapes, bottom: top } = legend(entries, 50);
  const bottom = top + LINE_HEIGHT - 110;
  const frame: Frame = { left: 90, right: WIDTH - 44, top: top + 4, bottom };
  shapes.push(...plot(frame, chart, 12));
  shapes.push(label((frame.left + frame.right) / 2, bottom + 38, chart.xLabel, { anchor: 'middle' }));
  return picture(bottom + 50, chart.title, shapes);
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Curve[];
}

export interface Panels {
  readonly title: string;
  readonly unit: string;
  /** Names of the shades, for the legend. */
  readonly names: readonly string[];
  /** What the steps of x, from 0, are called. */
  readonly steps: readonly string[];
  readonly panels: readonly Panel[];
}

const COLUMNS_MAX = 3;
const PANEL_HEIGHT = 178;

/** Small charts side by side, each with its own logarithmic axis, x in named steps. */
export function panelChart({ title, unit, names, steps, panels }: Panels): Drawing {
  const { shapes, bottom } = legend(
    names.map((name, shade) => ({ name, shade })),
    50,
  );
  // A run of one or two steps fills the picture, too.
  const columns = Math.min(COLUMNS_MAX, Math.max(1, panels.length));
  const width = (WIDTH - MARGIN) / columns;
  for (const [i, panel] of panels.entries()) {
    const x = MARGIN / 2 + (i % columns) * width;
    const y = bottom + Math.floor(i / columns) * PANEL_HEIGHT;
    const frame: Frame = { left: x + 62, right: x + width - 14, top: y + 22, bottom: y + PANEL_HEIGHT - 34 };
    shapes.push(label(x + 8, y + 10, panel.title, { size: 11, bold: true }));
    const ys = logAxis(panel.lines.flatMap(({ points }) => points.map(([, value]) => value)));
    const xOf = (step: number): number =>
      frame.left + 8 + (step / Math.max(1, steps.length - 1)) * (frame.right - frame.left - 16);
    const yOf = (value: number): number => frame.bottom - ys.place(value) * (frame.bottom - frame.top);
    for (const value of ys.ticks) {
      const text = `${tick(value)} ${unit}`;
      shapes.push(line(frame.left, yOf(value), frame.right, yOf(value), 'faint'));
      shapes.push(label(frame.left - 5, yOf(value) + 3.5, text, { size: 10, anchor: 'end', fill: 'muted' }));
    }
    for (const [step, name] of steps.entries())
      shapes.push(label(xOf(step), frame.bottom + 15, name, { size: 10, anchor: 'middle', fill: 'muted' }));
    shapes.push(line(frame.left, frame.bottom, frame.right, frame.bottom, 'ink'));
    for (const [l, curve] of panel.lines.entries()) {
      const shade = curve.shade ?? l;
      const placed = shown(curve, 'linear', 'log').map(([step, value]) => [xOf(step), yOf(value)] as const);
      if (placed.length > 1) shapes.push({ kind: 'line', points: placed, stroke: shade, width: 2 });
      for (const [px, py] of placed) shapes.push({ kind: 'dot', x: px, y: py, radius: 3, fill: shade });
    }
  }
  return picture(bottom + Math.ceil(panels.length / columns) * PANEL_HEIGHT, title, shapes);
}
