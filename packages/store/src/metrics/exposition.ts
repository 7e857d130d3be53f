/**
 * Metrics as text: Prometheus' text format 0.0.4, byte for byte as Go's library writes it (labels by name,
 * series by their label values, numbers in Go's shortest form), because people compare such lines as text.
 */
import type { Histogram } from './metric.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary';

/** One line, or the lines of one histogram. */
export type Series =
  | {
      /** In the order of the family's names; none at all where the line has no labels. */
      readonly labels: readonly string[];
      readonly value: number;
      /** What follows the family's name: "_sum" and "_count" of a summary. */
      readonly suffix?: string;
    }
  | { readonly labels: readonly string[]; readonly histogram: Histogram };

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  /** Its series now; a family without any is left out. A summary's come in the order they are to stand. */
  readonly collect: () => readonly Series[];
}

/** Content-Type of what expose() gives. */
export const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8';

export function expose(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const family of families) {
    const { name, help, type, labelNames } = family;
    const series = family.collect();
    if (series.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`);
    const order = labelNames.map((_, i) => i).sort((a, b) => (labelNames[a] < labelNames[b] ? -1 : 1));
    const rows = series.map((each) => ({
      each,
      labels: order
        .filter((i) => i < each.labels.length)
        .map((i) => `${labelNames[i]}="${escapeLabel(each.labels[i])}"`)
        .join(','),
    }));
    if (type !== 'summary') rows.sort((a, b) => (a.labels < b.labels ? -1 : a.labels > b.labels ? 1 : 0));
    for (const { each, labels } of rows) {
      if ('histogram' in each) writeHistogram(lines, name, labels, each.histogram);
      else lines.push(line(name + (each.suffix ?? ''), labels, each.value));
    }
  }
  return lines.join('');
}

function writeHistogram(lines: string[], name: string, labels: string, histogram: Histogram): void {
  const { bounds, counts } = histogram;
  const before = labels === '' ? '' : `${labels},`;
  let count = 0;
  for (let i = 0; i <= bounds.length; i++) {
    count += counts[i];
    const bound = i < bounds.length ? goFloat(bounds[i]) : '+Inf';
    lines.push(line(`${name}_bucket`, `${before}le="${bound}"`, count));
  }
  lines.push(line(`${name}_sum`, labels, histogram.sum), line(`${name}_count`, labels, count));
}

function line(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${goFloat(value)}\n` : `${name}{${labels}} ${goFloat(value)}\n`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** Go writes an exponent from a million on and below a ten-thousandth: strconv, format 'g', shortest. */
const PLAIN_EXPONENT_MAX = 5;
const PLAIN_EXPONENT_MIN = -4;

/** A number as Go's library for metrics writes it. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return '0';
  const [digits, power] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent >= PLAIN_EXPONENT_MIN && exponent <= PLAIN_EXPONENT_MAX) return String(value);
  const sign = exponent < 0 ? '-' : '+';
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
