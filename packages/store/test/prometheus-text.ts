/**
 * A strict reader of Prometheus' text format 0.0.4, for tests: refuses whatever the format's description does not allow,
 * and what its library never writes (families apart, unsorted labels, buckets that shrink).
 */

export interface Sample {
  /** With its suffix. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const NUMBER = /^(?:[+-]?Inf|NaN|-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]{2,3})?)$/;
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** @throws Error naming the line */
export function parsePrometheusText(text: string): ReadonlyMap<string, MetricFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  let current = '';
  let help: { readonly name: string; readonly text: string } | undefined;
  const seen = new Set<string>();
  for (const [index, line] of text.slice(0, -1).split('\n').entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${line}`);
    };
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (!NAME.test(name)) fail('no name of a metric');
      if (kind === 'HELP') {
        if (families.has(name)) fail('a family that was there before');
        help = { name, text: rest };
      } else {
        if (help?.name !== name) fail('a type without its help');
        if (!TYPES.has(rest)) fail('no type');
        families.set(name, { type: rest, help: help!.text, samples: [] });
        current = name;
        help = undefined;
      }
      continue;
    }
    if (line.startsWith('#') || line === '') fail('neither comment nor sample');
    const family = families.get(current);
    if (family === undefined || help !== undefined) fail('a sample without its family');
    const sample = parseSample(line, fail);
    const suffix = sample.name.slice(current.length);
    const allowed = SUFFIXES[family!.type] ?? [''];
    if (!sample.name.startsWith(current) || !allowed.includes(suffix)) fail('a sample of another family');
    const identity = `${sample.name}{${JSON.stringify(sample.labels)}}`;
    if (seen.has(identity)) fail('a sample that was there before');
    seen.add(identity);
    family!.samples.push(sample);
  }
  for (const [name, { type, samples }] of families) {
    if (samples.length === 0) throw new Error(`${name} has no samples`);
    if (type === 'histogram') checkBuckets(name, samples);
    if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} shrinks`);
  }
  return families;
}

function parseSample(line: string, fail: (why: string) => never): Sample {
  const name = /^[^\s{]*/.exec(line)![0];
  if (!NAME.test(name)) fail('no name of a metric');
  let at = name.length;
  const labels: Record<string, string> = {};
  let last = '';
  if (line[at] === '{') {
    at++;
    for (;;) {
      const label = /^[^=]*/.exec(line.slice(at))![0];
      if (!LABEL.test(label) || Object.hasOwn(labels, label)) fail('no label, or one twice');
      if (last !== '' && label !== 'le' && label < last) fail('labels out of order');
      last = label;
      at += label.length + 1;
      const value = /^"((?:[^"\\\n]|\\[\\"n])*)"/.exec(line.slice(at));
      if (value === null) fail('a value of a label without quotes');
      labels[label] = value[1].replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
      at += value[0].length;
      if (line[at] === '}') break;
      if (line[at] !== ',') fail('no comma between labels');
      at++;
    }
    at++;
  }
  const number = line.slice(at + 1);
  if (line[at] !== ' ' || !NUMBER.test(number)) fail('no value');
  return { name, labels, value: Number(number.replace('+Inf', 'Infinity').replace('-Inf', '-Infinity')) };
}

/** Buckets of one series ascend and end with +Inf, which equals the count. */
function checkBuckets(name: string, samples: readonly Sample[]): void {
  const series = new Map<string, { bounds: number[]; counts: number[]; count: number; sum: number }>();
  for (const { name: full, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const one = series.get(key) ?? { bounds: [], counts: [], count: NaN, sum: NaN };
    series.set(key, one);
    if (full.endsWith('_bucket')) {
      one.bounds.push(le === '+Inf' ? Infinity : Number(le));
      one.counts.push(value);
    } else if (full.endsWith('_count')) one.count = value;
    else one.sum = value;
  }
  for (const [key, { bounds, counts, count, sum }] of series) {
    const ascending = (values: readonly number[], strictly: boolean): boolean =>
      values.every((value, i) => i === 0 || (strictly ? values[i - 1] < value : values[i - 1] <= value));
    const whole = bounds.at(-1) === Infinity && counts.at(-1) === count && !Number.isNaN(sum);
    if (!ascending(bounds, true) || !ascending(counts, false) || !whole)
      throw new Error(`${name} ${key}: its buckets are no histogram`);
  }
}
