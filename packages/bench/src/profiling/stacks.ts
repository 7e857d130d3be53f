/**
 * A profile of V8's sampler as merged stacks: one tree, equal calls in one node, weighted by time. Only samples of a
 * given span count, so that starting and compiling are left out. Pure: a profile in, a tree out.
 *
 * The form is that of `node --cpu-prof`: nodes with ids of their children, samples by node id, and the microseconds
 * between samples.
 */

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** µs of the system's monotonic clock. */
  readonly startTime: number;
  readonly endTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0; -1 where there is none. */
  readonly lineNumber: number;
}

export interface Frame {
  readonly name: string;
  /** File and line, short; empty for what is not JavaScript. */
  readonly place: string;
  /** µs, what it called included. */
  total: number;
  readonly children: Map<string, Frame>;
}

/** What V8 calls time without work. */
const IDLE = '(idle)';
const ROOT = '(root)';

/** A file below packages/, or what Node and a dependency call theirs. */
export function placeOf({ url, lineNumber }: CallFrame): string {
  if (url === '') return '';
  const file = decodeURI(url)
    .replace(/^file:\/\//, '')
    .replace(/^.*\/packages\/([^/]+)\/(?:dist|src)\//, '$1/')
    .replace(/^.*\/proto\/(?:dist|gen)\//, 'proto/')
    .replace(/^.*\/node_modules\//, '');
  return lineNumber < 0 ? file : `${file}:${lineNumber + 1}`;
}

function frame(name: string, place: string): Frame {
  return { name, place, total: 0, children: new Map() };
}

/** @param windowUs from and until when samples count; the root's total is the time of those, idle time included */
export function mergeStacks(profile: CpuProfile, windowUs?: readonly [number, number]): Frame {
  const { nodes, samples, timeDeltas, startTime } = profile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children = [] } of nodes) for (const child of children) parents.set(child, id);
  const stacks = new Map<number, readonly Frame[]>();
  const root = frame('all', '');
  const stackOf = (id: number): readonly Frame[] => {
    const known = stacks.get(id);
    if (known !== undefined) return known;
    const node = byId.get(id);
    if (node === undefined)
      throw new RangeError(`a sample names node ${id}, which the profile does not have`);
    const parent = parents.get(id);
    const above = parent === undefined ? [root] : stackOf(parent);
    const { functionName } = node.callFrame;
    const stack = functionName === ROOT ? [root] : [...above, childOf(above, node.callFrame)];
    stacks.set(id, stack);
    return stack;
  };
  let atUs = startTime;
  for (let i = 0; i < samples.length; i++) {
    const spentUs = Math.max(0, timeDeltas[i] ?? 0);
    atUs += spentUs;
    if (windowUs !== undefined && (atUs < windowUs[0] || atUs > windowUs[1])) continue;
    for (const each of stackOf(samples[i])) each.total += spentUs;
  }
  return root;
}

function childOf(above: readonly Frame[], callFrame: CallFrame): Frame {
  const parent = above[above.length - 1];
  const name = callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName;
  const place = placeOf(callFrame);
  const key = `${name} ${place}`;
  const known = parent.children.get(key);
  if (known !== undefined) return known;
  const made = frame(name, place);
  parent.children.set(key, made);
  return made;
}

/** The tree without idle time, and the share of time that was busy. */
export function busyOnly(root: Frame): { readonly root: Frame; readonly busyShare: number } {
  const idle = [...root.children.values()].filter(({ name }) => name === IDLE);
  const idleUs = idle.reduce((sum, { total }) => sum + total, 0);
  const children = new Map([...root.children].filter(([, { name }]) => name !== IDLE));
  const busy = root.total - idleUs;
  return {
    root: { ...root, name: 'busy', total: busy, children },
    busyShare: root.total === 0 ? 0 : busy / root.total,
  };
}
