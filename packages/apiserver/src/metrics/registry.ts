/**
 * Counters, gauges and histograms with labels, and their text as Prometheus reads it. A gauge may be asked for its
 * value when somebody looks. Knows no metric's meaning; names stand where they are counted.
 */

type Labels = readonly string[];

/** Of one metric: whoever asks for what does not exist must not fill the memory. Those beyond are counted together. */
const SERIES_MAX = 20_000;
const OTHER = 'other';

/** One metric with its series. */
interface Metric {
  readonly name: string;
  text(): string;
}

export class Counter implements Metric {
  readonly name: string;
  private readonly help: string;
  private readonly labels: Labels;
  private readonly series = new Map<string, number>();

  constructor(name: string, help: string, labels: Labels = []) {
    this.name = name;
    this.help = help;
    this.labels = labels;
  }

  /** @param values of the labels, in their order */
  add(values: Labels = [], by = 1): void {
    const key = bounded(this.series, this.labels, values);
    this.series.set(key, (this.series.get(key) ?? 0) + by);
  }

  /** One of its series, for who counts it often: its labels are put together once. */
  of(values: Labels): () => void {
    const key = labelText(this.labels, values);
    return () => {
      const before = this.series.get(key);
      if (before === undefined) this.add(values);
      else this.series.set(key, before + 1);
    };
  }

  text(): string {
    const lines = [...this.series].map(([key, value]) => `${this.name}${braced(key)} ${value}\n`);
    return lines.length === 0 ? '' : header(this.name, this.help, 'counter') + lines.join('');
  }
}

export class Gauge implements Metric {
  readonly name: string;
  private readonly help: string;
  private readonly labels: Labels;
  private readonly kind: 'gauge' | 'counter';
  private readonly read: () => Iterable<readonly [Labels, number]>;

  /** @param read asked for all series when somebody looks */
  constructor(
    name: string,
    help: string,
    labels: Labels,
    read: () => Iterable<readonly [Labels, number]>,
    kind: 'gauge' | 'counter' = 'gauge',
  ) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.read = read;
    this.kind = kind;
  }

  text(): string {
    let lines = '';
    for (const [values, value] of this.read()) {
      lines += `${this.name}${braced(labelText(this.labels, values))} ${value}\n`;
    }
    return lines === '' ? '' : header(this.name, this.help, this.kind) + lines;
  }
}

interface Buckets {
  readonly counts: number[];
  count: number;
  sum: number;
}

export class Histogram implements Metric {
  readonly name: string;
  private readonly help: string;
  private readonly labels: Labels;
  private readonly bounds: readonly number[];
  private readonly series = new Map<string, Buckets>();

  /** @param bounds upper ends of the buckets, ascending; the one without an end is added */
  constructor(name: string, help: string, labels: Labels, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.bounds = bounds;
  }

  observe(values: Labels, value: number): void {
    this.note(this.bucketsOf(values), value);
  }

  /** One of its series, for who observes it often: its labels are put together once. */
  of(values: Labels): (value: number) => void {
    const buckets = this.bucketsOf(values);
    return (value) => this.note(buckets, value);
  }

  private bucketsOf(values: Labels): Buckets {
    const key = bounded(this.series, this.labels, values);
    let buckets = this.series.get(key);
    if (buckets === undefined) {
      buckets = { counts: this.bounds.map(() => 0), count: 0, sum: 0 };
      this.series.set(key, buckets);
    }
    return buckets;
  }

  private note(buckets: Buckets, value: number): void {
    buckets.count += 1;
    buckets.sum += value;
    const { bounds } = this;
    for (let place = 0; place < bounds.length; place += 1) {
      if (value > bounds[place]) continue;
      buckets.counts[place] += 1;
      return;
    }
  }

  text(): string {
    if (this.series.size === 0) return '';
    let lines = header(this.name, this.help, 'histogram');
    for (const [key, { counts, count, sum }] of this.series) {
      const before = key === '' ? '' : `${key},`;
      let below = 0;
      for (const [place, bound] of this.bounds.entries()) {
        below += counts[place];
        lines += `${this.name}_bucket{${before}le="${bound}"} ${below}\n`;
      }
      lines += `${this.name}_bucket{${before}le="+Inf"} ${count}\n`;
      lines += `${this.name}_sum${braced(key)} ${sum}\n${this.name}_count${braced(key)} ${count}\n`;
    }
    return lines;
  }
}

export class MetricsRegistry {
  private readonly metrics: Metric[] = [];
  private readonly disabled: ReadonlySet<string>;

  /** @param disabled names of those that are counted and not told: --disabled-metrics */
  constructor(disabled: readonly string[] = []) {
    this.disabled = new Set(disabled);
  }

  add<M extends Metric>(metric: M): M {
    if (!this.disabled.has(metric.name)) this.metrics.push(metric);
    return metric;
  }

  /** All of them, by name. */
  text(): string {
    return this.metrics
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((metric) => metric.text())
      .join('');
  }
}

function header(name: string, help: string, kind: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
}

function bounded(series: ReadonlyMap<string, unknown>, labels: Labels, values: Labels): string {
  const key = labelText(labels, values);
  if (series.size < SERIES_MAX || series.has(key)) return key;
  return labelText(
    labels,
    labels.map(() => OTHER),
  );
}

function labelText(labels: Labels, values: Labels): string {
  let text = '';
  for (let place = 0; place < labels.length; place += 1) {
    text += `${place === 0 ? '' : ','}${labels[place]}="${escaped(values[place] ?? '')}"`;
  }
  return text;
}

function escaped(value: string): string {
  if (!/["\\\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function braced(key: string): string {
  return key === '' ? '' : `{${key}}`;
}
