/**
 * What a client and its loops count, and its text for a scraper: counters, gauges that are read when asked, histograms.
 * Names are client-go's where it has them. A set belongs to one process's part; nothing is registered globally.
 */

export type Labels = Readonly<Record<string, string>>;

/** Only grows. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** Observations by upper bound. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    for (let i = this.bounds.length - 1; i >= 0 && value <= this.bounds[i]; i -= 1) this.counts[i] += 1;
  }
}

/** Of durations in seconds, as client-go's work queues have them: 10 ns to 10 s by tens. */
export const QUEUE_SECONDS: readonly number[] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10];

interface Family {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly members: Map<string, Counter | Histogram | (() => number)>;
}

export class MetricSet {
  private readonly families = new Map<string, Family>();

  /** The counter of that name and those labels; the same one each time. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const { members } = this.family(name, 'counter', help);
    const key = labelText(labels);
    const found = members.get(key);
    if (found instanceof Counter) return found;
    const made = new Counter();
    members.set(key, made);
    return made;
  }

  histogram(name: string, help: string, labels: Labels, bounds: readonly number[]): Histogram {
    const { members } = this.family(name, 'histogram', help);
    const key = labelText(labels);
    const found = members.get(key);
    if (found instanceof Histogram) return found;
    const made = new Histogram(bounds);
    members.set(key, made);
    return made;
  }

  /** A value that is read when somebody asks; a later one of the same name and labels takes its place. */
  gauge(name: string, help: string, labels: Labels, read: () => number): void {
    this.family(name, 'gauge', help).members.set(labelText(labels), read);
  }

  /** The text form scrapers read (0.0.4). */
  text(): string {
    const lines: string[] = [];
    for (const [name, { kind, help, members }] of this.families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
      for (const [labels, member] of members) {
        if (member instanceof Histogram) lines.push(...histogramLines(name, labels, member));
        else lines.push(`${name}${braced(labels)} ${member instanceof Counter ? member.value : member()}`);
      }
    }
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  }

  private family(name: string, kind: Family['kind'], help: string): Family {
    const found = this.families.get(name);
    if (found !== undefined) return found;
    const made: Family = { kind, help, members: new Map() };
    this.families.set(name, made);
    return made;
  }
}

function histogramLines(name: string, labels: string, histogram: Histogram): string[] {
  const inside = (more: string): string => braced(labels === '' ? more : `${labels},${more}`);
  return [
    ...histogram.bounds.map((bound, i) => `${name}_bucket${inside(`le="${bound}"`)} ${histogram.counts[i]}`),
    `${name}_bucket${inside('le="+Inf"')} ${histogram.count}`,
    `${name}_sum${braced(labels)} ${histogram.sum}`,
    `${name}_count${braced(labels)} ${histogram.count}`,
  ];
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(
      ([name, value]) =>
        `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
    )
    .join(',');
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}
