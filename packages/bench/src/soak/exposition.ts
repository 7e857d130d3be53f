/**
 * The text that /metrics answers, read back: numbers by series name, and histograms whose difference between two
 * looks gives the percentiles of what happened between them. Pure: text in, numbers out.
 */

/** Series as the text spells them, labels included → value. */
export type Scrape = ReadonlyMap<string, number>;

export function parseScrape(text: string): Scrape {
  const series = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    series.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return series;
}

export interface Buckets {
  /** Upper bound → how many were at or below it; ascending, +Inf last. */
  readonly counts: readonly (readonly [bound: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

const NONE: Buckets = { counts: [], sum: 0, count: 0 };

/** A histogram without labels of its own. Empty when the scrape has none. */
export function bucketsOf(scrape: Scrape, name: string): Buckets {
  const counts: (readonly [number, number])[] = [];
  for (const [series, value] of scrape) {
    const [, bound] = series.startsWith(name) ? (/_bucket\{le="([^"]+)"\}$/.exec(series) ?? []) : [];
    if (bound !== undefined) counts.push([bound === '+Inf' ? Infinity : Number(bound), value]);
  }
  counts.sort(([a], [b]) => a - b);
  if (counts.length === 0) return NONE;
  return { counts, sum: scrape.get(`${name}_sum`) ?? 0, count: scrape.get(`${name}_count`) ?? 0 };
}

/** What came between two looks. */
export function since(before: Buckets, after: Buckets): Buckets {
  if (before.counts.length === 0) return after;
  return {
    counts: after.counts.map(([bound, count], i) => [bound, count - before.counts[i][1]] as const),
    sum: after.sum - before.sum,
    count: after.count - before.count,
  };
}

/** The upper bound of the bucket where the percentile falls: never less than the truth. 0 when nothing happened. */
export function percentile({ counts, count }: Buckets, percent: number): number {
  if (count === 0) return 0;
  const rank = (percent / 100) * count;
  const finite = counts.filter(([bound]) => bound !== Infinity);
  return finite.find(([, below]) => below >= rank)?.[0] ?? finite.at(-1)?.[0] ?? 0;
}
