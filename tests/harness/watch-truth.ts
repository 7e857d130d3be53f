/**
 * What watches of a resource must have shown, judged by what the store says happened. The store's own history is the
 * truth; of it follows, for one watcher, the exact line of events it may see. A watcher that was told of a whole state
 * begins there; from then on each event is the next one, none missing, none twice. Pure.
 */

/** One change in the store. */
export interface TruthEvent {
  readonly revision: number;
  /** `namespace/name` */
  readonly key: string;
  /** undefined: the object was deleted. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

/** What a watcher was told, in order. */
export type Observation =
  | { readonly kind: 'state'; readonly revision: number; readonly objects: ReadonlyMap<string, number> }
  | {
      readonly kind: 'event';
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly key: string;
      readonly revision: number;
    };

export interface Judgement {
  /** Broken promises, in words; empty for none. */
  readonly broken: readonly string[];
  readonly events: number;
  /** How often it was told of a whole state: once, and again whenever it had missed too much. */
  readonly states: number;
}

export type SeenEvent = Extract<Observation, { kind: 'event' }>;

/**
 * @param truth in order of revisions, complete
 * @param matches whether the watcher sees an object with these labels
 */
export function judgeWatch(
  truth: readonly TruthEvent[],
  observations: readonly Observation[],
  matches: (labels: Readonly<Record<string, string>>) => boolean = () => true,
): Judgement {
  const line = visibleLine(truth, matches);
  const broken: string[] = [];
  let at = -1;
  let events = 0;
  let states = 0;
  for (const one of observations) {
    if (one.kind === 'state') {
      states += 1;
      at = firstAfter(line, one.revision);
      broken.push(...stateErrors(stateAt(line, at), one));
      continue;
    }
    events += 1;
    if (at < 0) {
      broken.push(`${inWords(one)} before any state`);
      continue;
    }
    const expected = line[at];
    if (expected !== undefined && same(expected, one)) {
      at += 1;
      continue;
    }
    const found = line.findIndex((candidate) => same(candidate, one));
    if (found < 0) broken.push(`${inWords(one)} never happened; ${inWords(expected)} was next`);
    else if (found < at) broken.push(`${inWords(one)} came twice`);
    else {
      broken.push(`${found - at} events are missing before ${inWords(one)}, from ${inWords(expected)} on`);
      at = found + 1;
    }
  }
  if (at < 0) broken.push('no state was ever told');
  else if (at < line.length)
    broken.push(`${line.length - at} events are missing at the end, from ${inWords(line[at])} on`);
  return { broken, events, states };
}

/**
 * What somebody is told who keeps a cache and hears of changes of objects, not of every event: each object's versions go up,
 * nothing comes twice, and in the end there is what the store has.
 *
 * @param cache what it holds in the end
 */
export function judgeCache(
  truth: readonly TruthEvent[],
  heard: readonly SeenEvent[],
  cache: ReadonlyMap<string, number>,
): Judgement {
  const line = visibleLine(truth, () => true);
  const broken: string[] = [];
  const last = new Map<string, SeenEvent>();
  for (const one of heard) {
    const before = last.get(one.key);
    const alive = before !== undefined && before.type !== 'DELETED';
    if (one.type === 'ADDED' && alive) broken.push(`${inWords(one)}, and it was there already`);
    if (one.type !== 'ADDED' && !alive) broken.push(`${inWords(one)}, and it was not there`);
    // A deletion that is found out by a list has the last version that was known.
    const newer = before === undefined || one.revision > before.revision;
    if (!newer && one.type !== 'DELETED') broken.push(`${inWords(one)} after revision ${before.revision}`);
    last.set(one.key, one);
  }
  broken.push(
    ...stateErrors(stateAt(line, line.length), {
      kind: 'state',
      revision: Number.MAX_SAFE_INTEGER,
      objects: cache,
    }),
  );
  return { broken, events: heard.length, states: 1 };
}

/** The events that a watcher sees; an object that comes into its selection is added, one that leaves it deleted. */
function visibleLine(
  truth: readonly TruthEvent[],
  matches: (labels: Readonly<Record<string, string>>) => boolean,
): SeenEvent[] {
  const shown = new Set<string>();
  const line: SeenEvent[] = [];
  for (const { revision, key, labels } of truth) {
    const before = shown.has(key);
    const now = labels !== undefined && matches(labels);
    if (!before && !now) continue;
    const type = before ? (now ? 'MODIFIED' : 'DELETED') : 'ADDED';
    line.push({ kind: 'event', type, key, revision });
    if (now) shown.add(key);
    else shown.delete(key);
  }
  return line;
}

function firstAfter(line: readonly SeenEvent[], revision: number): number {
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((line[middle]?.revision ?? 0) > revision) high = middle;
    else low = middle + 1;
  }
  return low;
}

function stateAt(line: readonly SeenEvent[], end: number): Map<string, number> {
  const state = new Map<string, number>();
  for (const { type, key, revision } of line.slice(0, end)) {
    if (type === 'DELETED') state.delete(key);
    else state.set(key, revision);
  }
  return state;
}

function stateErrors(
  expected: ReadonlyMap<string, number>,
  { revision, objects }: Extract<Observation, { kind: 'state' }>,
): string[] {
  const errors: string[] = [];
  for (const [key, version] of expected) {
    const found = objects.get(key);
    if (found !== version) errors.push(`the state at ${revision} has ${key} at ${found}, not at ${version}`);
  }
  for (const key of objects.keys()) {
    if (!expected.has(key)) errors.push(`the state at ${revision} has ${key}, which was not there`);
  }
  return errors;
}

function same(a: SeenEvent, b: SeenEvent): boolean {
  return a.type === b.type && a.key === b.key && a.revision === b.revision;
}

function inWords(one: SeenEvent | undefined): string {
  return one === undefined ? 'nothing' : `${one.type} ${one.key} at ${one.revision}`;
}
