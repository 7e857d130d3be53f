/**
 * All metrics of a member under their names. Counters live where things happen; the registry holds those
 * that have no other home and reads the rest when somebody asks. One registry a member, so that many members
 * fit into one process; nothing here knows what is measured. (Prometheus' registry and vectors.)
 */
import { assert } from '@keelson/base';
import { expose, type Family, type MetricType, type Series } from './exposition.ts';
import { Counter, Gauge, Histogram } from './metric.ts';

/** Label values, in the order of the family's names. */
export type LabelValues = readonly string[];

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Metrics of one family, one for each combination of label values that has occurred. */
export class Labelled<T> {
  private readonly make: () => T;
  private readonly labelCount: number;
  private readonly seriesMax: number;
  private readonly metrics = new Map<string, { readonly labels: LabelValues; readonly metric: T }>();
  private readonly rest: T;

  /** @param seriesMax combinations kept apart; more share one series whose labels all say "other" */
  constructor(make: () => T, labelCount: number, seriesMax: number) {
    this.make = make;
    this.labelCount = labelCount;
    this.seriesMax = seriesMax;
    this.rest = make();
  }

  /** The metric with these label values; keep it where it is needed often. */
  with(...labels: string[]): T {
    assert(labels.length === this.labelCount, 'a metric with other labels than its family');
    const key = labels.length === 1 ? labels[0] : labels.join('\0');
    const known = this.metrics.get(key);
    if (known !== undefined) return known.metric;
    if (this.metrics.size >= this.seriesMax) {
      const other = labels.map(() => 'other');
      this.metrics.set(other.join('\0'), { labels: other, metric: this.rest });
      return this.rest;
    }
    const metric = this.make();
    this.metrics.set(key, { labels, metric });
    return metric;
  }

  entries(): Iterable<{ readonly labels: LabelValues; readonly metric: T }> {
    return this.metrics.values();
  }
}

/** Label values that clients choose are bounded by this; our own combinations are far fewer. */
const SERIES_MAX = 2_000;

/** What a read-at-scrape family gives: label values and the value that goes with them. */
export type Reading = readonly [labels: LabelValues, value: number];

export class Registry {
  private readonly families = new Map<string, Family>();

  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.read('counter', name, help, () => counter.value);
    return counter;
  }

  gauge(name: string, help: string): Gauge {
    const gauge = new Gauge();
    this.read('gauge', name, help, () => gauge.value);
    return gauge;
  }

  histogram(name: string, help: string, bounds: Float64Array): Histogram {
    const histogram = new Histogram(bounds);
    this.add({ name, help, type: 'histogram', labelNames: [], collect: () => [{ labels: [], histogram }] });
    return histogram;
  }

  counters(name: string, help: string, labelNames: readonly string[]): Labelled<Counter> {
    return this.labelled(
      'counter',
      name,
      help,
      labelNames,
      new Labelled(() => new Counter(), labelNames.length, SERIES_MAX),
    );
  }

  gauges(name: string, help: string, labelNames: readonly string[]): Labelled<Gauge> {
    return this.labelled(
      'gauge',
      name,
      help,
      labelNames,
      new Labelled(() => new Gauge(), labelNames.length, SERIES_MAX),
    );
  }

  histograms(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: Float64Array,
  ): Labelled<Histogram> {
    const all = new Labelled(() => new Histogram(bounds), labelNames.length, SERIES_MAX);
    const collect = (): Series[] =>
      Array.from(all.entries(), ({ labels, metric }) => ({ labels, histogram: metric }));
    this.add({ name, help, type: 'histogram', labelNames, collect });
    return all;
  }

  /** A number that is looked up when asked for. */
  read(type: MetricType, name: string, help: string, value: () => number): void {
    this.add({ name, help, type, labelNames: [], collect: () => [{ labels: [], value: value() }] });
  }

  /** A summary whose lines are computed elsewhere: quantiles, then "_sum" and "_count". */
  summary(name: string, help: string, labelNames: readonly string[], collect: () => Series[]): void {
    this.add({ name, help, type: 'summary', labelNames, collect });
  }

  /** A histogram kept where things are observed. */
  readHistogram(name: string, help: string, histogram: () => Histogram): void {
    const collect = (): Series[] => [{ labels: [], histogram: histogram() }];
    this.add({ name, help, type: 'histogram', labelNames: [], collect });
  }

  /** Numbers under labels that are looked up when asked for. */
  readAll(
    type: MetricType,
    name: string,
    help: string,
    labelNames: readonly string[],
    values: () => Iterable<Reading>,
  ): void {
    const collect = (): Series[] => Array.from(values(), ([labels, value]) => ({ labels, value }));
    this.add({ name, help, type, labelNames, collect });
  }

  /** Whether a family of this name exists (it may have no series yet). */
  has(name: string): boolean {
    return this.families.has(name);
  }

  /** Everything as text, version 0.0.4 of the format: families by name, series by their labels. */
  text(): string {
    const names = [...this.families.keys()].sort();
    return expose(names.map((name) => this.families.get(name)!));
  }

  private labelled<T extends { readonly value: number }>(
    type: MetricType,
    name: string,
    help: string,
    labelNames: readonly string[],
    all: Labelled<T>,
  ): Labelled<T> {
    this.readAll(type, name, help, labelNames, function* () {
      for (const { labels, metric } of all.entries()) yield [labels, metric.value];
    });
    return all;
  }

  private add(family: Family): void {
    assert(METRIC_NAME.test(family.name), () => `${family.name} is no name of a metric`);
    for (const label of family.labelNames) assert(LABEL_NAME.test(label), () => `${label} is no label`);
    assert(!this.families.has(family.name), () => `two metrics are called ${family.name}`);
    this.families.set(family.name, family);
  }
}
