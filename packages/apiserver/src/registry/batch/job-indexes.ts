/**
 * Indexes of a job's pods as a text, `1,3-5,7`: increasing, below the job's completions. Says what is wrong and how
 * many they are; texts as kubernetes' batch validation.
 */

interface Interval {
  readonly first: number;
  readonly last: number;
}

function quoted(value: string): string {
  return JSON.stringify(value);
}

/** An interval, or what is wrong with it. */
function intervalOf(fragment: string, completions: number): Interval | string {
  const limits = fragment.split('-');
  if (limits.length > 2)
    return `the fragment ${quoted(fragment)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  const numbers: number[] = [];
  for (const limit of limits) {
    if (!/^[+-]?\d+$/.test(limit)) return `cannot convert string to integer for index: ${quoted(limit)}`;
    if (Number(limit) >= completions) return `too large index: ${quoted(limit)}`;
    numbers.push(Number(limit));
  }
  const [first, last = first] = numbers;
  if (limits.length === 2 && first >= last)
    return `non-increasing order, previous: ${first}, current: ${last}`;
  return { first, last };
}

export function indexesError(
  indexes: string,
  completions: number,
): { readonly count: number; readonly error?: string } {
  if (indexes === '') return { count: 0 };
  let count = 0;
  let previous: number | undefined;
  for (const fragment of indexes.split(',')) {
    const interval = intervalOf(fragment, completions);
    if (typeof interval === 'string') return { count: 0, error: interval };
    if (previous !== undefined && previous >= interval.first)
      return { count: 0, error: `non-increasing order, previous: ${previous}, current: ${interval.first}` };
    count += interval.last - interval.first + 1;
    previous = interval.last;
  }
  return { count };
}

/** The first index that is in both; what does not parse is told elsewhere. */
export function overlapError(completed: string, failed: string, completions: number): string | undefined {
  if (completed === '' || failed === '') return undefined;
  const read = (indexes: string): Interval[] =>
    indexes
      .split(',')
      .map((fragment) => intervalOf(fragment, completions))
      .filter((each) => typeof each !== 'string');
  const done = read(completed);
  const lost = read(failed);
  let at = 0;
  let other = 0;
  while (at < done.length && other < lost.length) {
    const a = done[at];
    const b = lost[other];
    if (a.first <= b.last && b.first <= a.last) {
      return `failedIndexes and completedIndexes overlap at index: ${Math.max(a.first, b.first)}`;
    }
    if (a.first <= b.first) at += 1;
    else other += 1;
  }
  return undefined;
}
