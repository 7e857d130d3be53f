/** What the graph asks for, change by change: the cases of upstream's graph builder, and of its owner identities. */

import { describe, expect, test } from '@jest/globals';
import type { KubeObject, OwnerReference } from '@keelson/kube-client';
import fc from 'fast-check';

import { Graph, GraphNode, identityOf } from './graph.ts';

interface Rig {
  readonly graph: Graph;
  /** What was asked for since it was last read. */
  readonly asked: () => string[];
}

function rig(): Rig {
  let asked: string[] = [];
  const name = (node: GraphNode): string => node.identity.name;
  const graph = new Graph({
    examine: (node) => asked.push(`examine ${name(node)}`),
    examineLater: (node) => asked.push(`later ${name(node)}`),
    orphan: (node) => asked.push(`orphan ${name(node)}`),
    absent: ({ namespace, name }) => asked.push(`absent ${namespace}/${name}`),
    foreignOwner: (node, owner) => asked.push(`foreign ${name(node)} -> ${owner.name}`),
  });
  return {
    graph,
    asked() {
      const found = asked;
      asked = [];
      return found;
    },
  };
}

interface Given {
  readonly owners?: readonly OwnerReference[];
  readonly namespace?: string;
  readonly deleting?: boolean;
  readonly finalizers?: readonly string[];
}

/** An object whose uid is its name. */
function object(name: string, { owners, namespace = 'n', deleting, finalizers }: Given = {}): KubeObject {
  return {
    metadata: {
      name,
      uid: name,
      ...(namespace === '' ? {} : { namespace }),
      ...(owners === undefined ? {} : { ownerReferences: owners }),
      ...(deleting === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
  };
}

function owner(name: string, more: Partial<OwnerReference> = {}): OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name, uid: name, ...more };
}

function see(graph: Graph, name: string, given: Given = {}): GraphNode {
  const seen = object(name, given);
  graph.observe(identityOf('v1', 'Pod', seen), seen);
  const node = graph.node(name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

const dependentsOf = (node: GraphNode): string[] => [...node.dependents].map(({ identity }) => identity.name);

describe('what lives', () => {
  test('asks for nothing', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    see(graph, 'b', { owners: [owner('a')] });
    expect(asked()).toEqual([]);
    expect(graph.node('a')?.dependents.size).toBe(1);
  });

  test('an owner that nobody saw yet is looked at', () => {
    const { graph, asked } = rig();
    see(graph, 'b', { owners: [owner('a')] });
    expect(asked()).toEqual(['examine a']);
    expect(graph.node('a')?.virtual).toBe(true);
    const node = see(graph, 'a');
    expect([node.virtual, dependentsOf(node), asked()]).toEqual([false, ['b'], []]);
  });

  test('a change of owners is followed both ways', () => {
    const { graph, asked } = rig();
    const a = see(graph, 'a');
    const c = see(graph, 'c');
    see(graph, 'b', { owners: [owner('a')] });
    see(graph, 'b', { owners: [owner('c')] });
    expect([dependentsOf(a), dependentsOf(c)]).toEqual([[], ['b']]);
    expect(asked()).toEqual([]);
  });

  test('is taken away without a trace', () => {
    const { graph, asked } = rig();
    const a = see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    graph.remove('b');
    expect([dependentsOf(a), graph.size, asked()]).toEqual([[], 1, []]);
    graph.remove('b');
    expect(asked()).toEqual([]);
  });
});

describe('what is deleted', () => {
  test('in the background has its dependents looked at when it is gone', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    see(graph, 'c', { owners: [owner('a')] });
    see(graph, 'a', { deleting: true, finalizers: ['x/y'] });
    expect(asked()).toEqual([]);
    graph.remove('a');
    expect(asked()).toEqual(['absent n/a', 'examine b', 'examine c']);
  });

  test('in the foreground has its dependents looked at first, once', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a', { blockOwnerDeletion: true })] });
    const given = { deleting: true, finalizers: ['foregroundDeletion'] };
    const a = see(graph, 'a', given);
    expect(asked()).toEqual(['examine b', 'examine a']);
    see(graph, 'a', given);
    expect(asked()).toEqual([]);
    expect(a.blockingDependents().map(({ identity }) => identity.name)).toEqual(['b']);
    graph.remove('b');
    expect(asked()).toEqual(['examine a']);
    expect(a.blockingDependents()).toEqual([]);
  });

  test('in the foreground no longer waits for who stops blocking', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a', { blockOwnerDeletion: true })] });
    see(graph, 'b', { owners: [owner('a', { blockOwnerDeletion: false })] });
    expect(asked()).toEqual(['examine a']);
    see(graph, 'b', { owners: [owner('a', { blockOwnerDeletion: true })] });
    see(graph, 'b', {});
    expect(asked()).toEqual(['examine a']);
  });

  test('and is to orphan has its dependents let go, once', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    const given = { deleting: true, finalizers: ['orphan'] };
    see(graph, 'a', given);
    see(graph, 'a', given);
    expect(asked()).toEqual(['orphan a']);
  });

  test('before anybody saw it alive counts as well', () => {
    const { graph, asked } = rig();
    see(graph, 'b', { owners: [owner('a')] });
    asked();
    see(graph, 'a', { deleting: true, finalizers: ['foregroundDeletion'] });
    expect(asked()).toEqual(['examine b', 'examine a']);
  });
});

describe('references that do not agree', () => {
  test('an owner in another namespace is reported, and the dependent looked at', () => {
    const { graph, asked } = rig();
    see(graph, 'a', { namespace: 'other' });
    see(graph, 'b', { owners: [owner('a')] });
    expect(asked()).toEqual(['foreign b -> a', 'examine b']);
  });

  test('and the other way round: the dependent was seen first', () => {
    const { graph, asked } = rig();
    see(graph, 'b', { owners: [owner('a')] });
    asked();
    see(graph, 'a', { namespace: 'other' });
    expect(asked()).toEqual(['foreign b -> a', 'examine b']);
    expect(graph.node('a')?.identity.namespace).toBe('other');
  });

  test('an owner in no namespace may own anything', () => {
    const { graph, asked } = rig();
    see(graph, 'a', { namespace: '' });
    see(graph, 'b', { owners: [owner('a')] });
    see(graph, 'c', { owners: [owner('a')], namespace: '' });
    expect(asked()).toEqual([]);
  });

  test('another kind of the same uid makes the dependent doubtful', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a', { kind: 'Secret' })] });
    expect(asked()).toEqual(['examine b']);
  });

  test('what is absent by one identity is looked for by the others before it counts as gone', () => {
    const { graph, asked } = rig();
    see(graph, 'b', { owners: [owner('a', { kind: 'Secret' })] });
    see(graph, 'c', { owners: [owner('a', { kind: 'ConfigMap' })] });
    const node = graph.node('a');
    expect(node?.identity.kind).toBe('Secret');
    asked();
    graph.verifiedAbsent(node!.identity);
    expect(asked()).toEqual(['absent n/a', 'examine b', 'later a']);
    expect(node?.identity.kind).toBe('ConfigMap');
    graph.remove('b');
    asked();
    graph.verifiedAbsent(node!.identity);
    expect(asked()).toEqual(['absent n/a', 'examine c']);
    expect(graph.node('a')).toBeUndefined();
  });

  test('who refers wrongly to what exists is looked at; what exists stays', () => {
    const { graph, asked } = rig();
    const a = see(graph, 'a');
    const wrong = owner('a', { kind: 'Secret' });
    see(graph, 'b', { owners: [wrong] });
    see(graph, 'c', { owners: [owner('a')] });
    asked();
    graph.verifiedAbsent({ ...a.identity, kind: 'Secret' });
    expect(asked()).toEqual(['absent n/a', 'examine b']);
    expect(graph.node('a')).toBe(a);
  });

  test('what the server says is gone is gone before the watch says so', () => {
    const { graph, asked } = rig();
    const a = see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    graph.verifiedAbsent(a.identity);
    expect(asked()).toEqual(['absent n/a', 'examine b']);
    graph.remove('a');
    expect(asked()).toEqual([]);
  });
});

describe('a resource that is no longer watched', () => {
  test('leaves what others refer to, to be asked for', () => {
    const { graph, asked } = rig();
    see(graph, 'a');
    see(graph, 'b', { owners: [owner('a')] });
    graph.forget('a');
    expect([asked(), graph.node('a')?.virtual]).toEqual([['later a'], true]);
    graph.forget('b');
    expect(graph.node('b')).toBeUndefined();
    expect(graph.node('a')?.dependents.size).toBe(0);
  });
});

/** What a graph should be, made anew from the objects there are. */
function expectedEdges(objects: ReadonlyMap<string, readonly string[]>): string[] {
  return [...objects].flatMap(([name, owners]) => owners.map((one) => `${one} <- ${name}`)).toSorted();
}

test('edges are those of the objects there are, whatever happened before', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const step = fc.record({
    name: fc.constantFrom(...names),
    owners: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }),
    remove: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { graph } = rig();
      const objects = new Map<string, readonly string[]>();
      for (const { name, owners, remove } of steps) {
        if (remove) {
          objects.delete(name);
          graph.remove(name);
          // The watch of an owner that is gone; whoever still refers to it is asked about again by his next event.
          for (const [other, held] of objects) if (held.includes(name)) see(graph, other, { owners: [] });
          for (const [other, held] of objects) {
            if (held.includes(name)) see(graph, other, { owners: held.map((one) => owner(one)) });
          }
        } else {
          objects.set(name, owners);
          see(graph, name, { owners: owners.map((one) => owner(one)) });
        }
      }
      const edges = names.flatMap((name) => {
        const node = graph.node(name);
        return node === undefined ? [] : dependentsOf(node).map((one) => `${name} <- ${one}`);
      });
      expect(edges.toSorted()).toEqual(expectedEdges(objects));
    }),
    { seed: 5, numRuns: 300 },
  );
});
