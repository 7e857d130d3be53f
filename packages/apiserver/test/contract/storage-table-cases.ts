/**
 * The storage contract, part four: tables. One history of five pods in three namespaces is listed and watched from every
 * place, at every revision, with every match, limit and selection; what is right is told by a model that keeps each state.
 * Stands for the tables of kubernetes/apiserver pkg/storage/testing whose names the cases carry.
 */

import { expect } from '@jest/globals';

import type { ResourceVersionMatch } from '../../src/storage/storage.ts';
import { Context, expectStatus, names, Reader, select, type Case } from './storage-harness.ts';

interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly label: string;
}

/** One write; a pod that is gone has none after. */
interface Write {
  readonly before: Pod | undefined;
  readonly after: Pod | undefined;
}

interface Place {
  readonly name: string;
  readonly namespace: string;
  /** Set: one pod. */
  readonly pod?: string;
}

interface Selection {
  readonly name: string;
  readonly labels?: string;
  readonly fields?: string;
  readonly selects: (pod: Pod) => boolean;
}

const pod = (namespace: string, name: string, node = '', label = 'a'): Pod => ({
  namespace,
  name,
  node,
  label,
});

/** As seedMultiLevelData, and a deletion. Each write is one revision. */
const HISTORY: readonly Write[] = [
  { before: undefined, after: pod('first', 'bar') },
  { before: undefined, after: pod('second', 'bar', '', 'b') },
  { before: undefined, after: pod('second', 'foo') },
  { before: pod('first', 'bar'), after: pod('first', 'bar', 'n1') },
  { before: undefined, after: pod('third', 'barfoo', 'n1') },
  { before: pod('second', 'foo'), after: pod('second', 'foo', 'n1') },
  { before: pod('second', 'bar', '', 'b'), after: undefined },
  { before: pod('first', 'bar', 'n1'), after: pod('first', 'bar', 'n2') },
];
const NOW = HISTORY.length;
const FUTURE = 1000;

const PLACES: readonly Place[] = [
  { name: 'all', namespace: '' },
  { name: 'a namespace', namespace: 'first' },
  { name: 'a namespace that lost a pod', namespace: 'second' },
  { name: 'a namespace that is none', namespace: 'fir' },
  { name: 'a pod', namespace: 'first', pod: 'bar' },
  { name: 'a pod that is gone', namespace: 'second', pod: 'bar' },
];

const EVERYTHING: Selection = { name: '', selects: () => true };
const SELECTIONS: readonly Selection[] = [
  EVERYTHING,
  { name: 'of one name', fields: 'metadata.name=bar', selects: ({ name }) => name === 'bar' },
  { name: 'of another name', fields: 'metadata.name!=bar', selects: ({ name }) => name !== 'bar' },
  { name: 'of one node', fields: 'spec.nodeName=n1', selects: ({ node }) => node === 'n1' },
  { name: 'of no node', fields: 'spec.nodeName=', selects: ({ node }) => node === '' },
  { name: 'of one label', labels: 'l=b', selects: ({ label }) => label === 'b' },
];

function lies(place: Place, { namespace, name }: Pod): boolean {
  return (place.namespace === '' || place.namespace === namespace) && (place.pod ?? name) === name;
}

/** Pods after so many writes, in order of their keys. */
function stateAt(revision: number, place: Place, { selects }: Selection): Pod[] {
  const pods = new Map<string, Pod>();
  for (const { before, after } of HISTORY.slice(0, revision)) {
    if (before !== undefined) pods.delete(`${before.namespace}/${before.name}`);
    if (after !== undefined) pods.set(`${after.namespace}/${after.name}`, after);
  }
  const order = [...pods.keys()].toSorted();
  return order.flatMap((key) => pods.get(key) ?? []).filter((each) => lies(place, each) && selects(each));
}

/** What a watch tells of the writes after a revision. */
function eventsAfter(revision: number, place: Place, { selects }: Selection): string[] {
  return HISTORY.flatMap(({ before, after }, index) => {
    const had = before !== undefined && lies(place, before) && selects(before);
    const has = after !== undefined && lies(place, after) && selects(after);
    if (index < revision || (!had && !has)) return [];
    const type = !had ? 'ADDED' : has ? 'MODIFIED' : 'DELETED';
    return [`${type} ${(after ?? before)?.name ?? ''} @${index + 1}`];
  });
}

/** Makes the history. @returns the revision before it */
async function play(c: Context): Promise<number> {
  const base = await c.storage.currentRevision();
  for (const { before, after } of HISTORY) {
    if (after === undefined) await c.storage.delete(c.key(before?.name ?? '', before?.namespace));
    else if (before !== undefined) await c.update(after.name, after.node, after.namespace);
    else {
      const { namespace, name, node, label } = after;
      await c.create(name, { namespace, node, labels: { l: label } });
    }
  }
  return base;
}

function keyOf(c: Context, { namespace, pod: name }: Place): string {
  if (name !== undefined) return c.key(name, namespace);
  return namespace === '' ? c.prefix : `${c.prefix}/${namespace}`;
}

const VERSIONS: readonly (number | '' | '0')[] = ['', '0', 1, 3, 7, NOW, FUTURE];
const MATCHES: readonly ResourceVersionMatch[] = ['', 'NotOlderThan', 'Exact'];

interface Asked {
  readonly place: Place;
  readonly version: number | '' | '0';
  readonly match: ResourceVersionMatch;
  readonly limit: number;
  readonly selection: Selection;
}

/** Combinations that the API lets through, each once. */
function asked(): Asked[] {
  const all: Asked[] = [];
  for (const place of PLACES) {
    for (const version of VERSIONS) {
      for (const match of MATCHES) {
        if (typeof version !== 'number' && match === 'Exact') continue;
        if (version === '' && match !== '') continue;
        for (const limit of place.pod === undefined ? [0, 1] : [0]) {
          // A cache passes over the limit where any state will do.
          if (version === '0' && limit > 0) continue;
          all.push({ place, version, match, limit, selection: EVERYTHING });
        }
      }
    }
    for (const selection of SELECTIONS.slice(1)) {
      for (const limit of place.pod === undefined ? [0, 1] : [0]) {
        all.push({ place, version: '', match: '', limit, selection });
      }
      all.push({ place, version: 7, match: 'Exact', limit: 0, selection });
    }
  }
  return all;
}

function nameOf({ place, version, match, limit, selection }: Asked): string {
  const words = [
    place.name,
    selection.name,
    version === '' ? 'now' : version === FUTURE ? 'in the future' : `at ${version}`,
    match,
    limit === 0 ? '' : 'by pages',
  ];
  const upstream =
    place.pod !== undefined
      ? 'TestGetListNonRecursive'
      : place.name.endsWith('none')
        ? 'TestGetListRecursivePrefix'
        : limit > 0
          ? 'TestListPaging'
          : 'TestList, TestListResourceVersionMatch';
  return `list: ${words.filter((word) => word !== '').join(', ')} (${upstream})`;
}

async function list(c: Context, { place, version, match, limit, selection }: Asked): Promise<void> {
  const base = await play(c);
  const exact = match === 'Exact' || (match === '' && limit > 0 && typeof version === 'number');
  const options = {
    recursive: place.pod === undefined,
    limit,
    selection: select({ labels: selection.labels ?? '', fields: selection.fields ?? '' }),
  };
  const first = c.storage.list(keyOf(c, place), {
    ...options,
    resourceVersion: typeof version === 'number' ? String(base + version) : version,
    resourceVersionMatch: match,
  });
  if (version === FUTURE) {
    await expectStatus(first, 504);
    return;
  }
  const at = exact && typeof version === 'number' ? version : NOW;
  const wanted = stateAt(at, place, selection);
  const seen: string[] = [];
  let page = await first;
  for (;;) {
    expect(page.revision - base).toBe(at);
    seen.push(...page.objects.map(({ key }) => key));
    const left = wanted.length - seen.length;
    const told = limit > 0 && left > 0 && selection === EVERYTHING ? left : undefined;
    expect(page.remainingItemCount).toBe(told);
    if (page.continue === '') break;
    expect([page.objects.length, limit]).toEqual([limit, 1]);
    page = await c.storage.list(keyOf(c, place), { ...options, continue: page.continue });
  }
  expect(seen).toEqual(wanted.map(({ namespace, name }) => c.key(name, namespace)));
}

const lists: readonly Case[] = asked().map((each) => ({
  name: nameOf(each),
  run: (c) => list(c, each),
}));

const watches: readonly Case[] = PLACES.flatMap((place) =>
  SELECTIONS.map((selection): Case => {
    const upstream = place.namespace === '' ? 'TestClusterScopedWatch' : 'TestNamespaceScopedWatch';
    const what = selection.name === '' ? place.name : `${place.name}, ${selection.name}`;
    return {
      name: `watch: ${what}, from each revision (${upstream})`,
      async run(c) {
        const base = await play(c);
        const key = keyOf(c, place);
        const options = {
          recursive: place.pod === undefined,
          selection: select({ labels: selection.labels ?? '', fields: selection.fields ?? '' }),
        };
        for (let from = 0; from < NOW; from += 1) {
          const resourceVersion = String(base + from);
          const reader = new Reader(await c.storage.watch(key, { ...options, resourceVersion }));
          const wanted = eventsAfter(from, place, selection);
          expect(await reader.take(wanted.length, base)).toEqual(wanted);
          reader.stop();
        }
      },
    };
  }),
);

const states: readonly Case[] = PLACES.map((place) => ({
  name: `watch: ${place.name}, the state first (TestWatchFromZero)`,
  async run(c) {
    const base = await play(c);
    const key = keyOf(c, place);
    const watch = await c.storage.watch(key, { recursive: place.pod === undefined, resourceVersion: '' });
    const reader = new Reader(watch);
    const wanted = stateAt(NOW, place, EVERYTHING);
    const seen = await reader.take(wanted.length, base);
    expect(seen.map((each) => each.replace(/ @.*/, ''))).toEqual(wanted.map(({ name }) => `ADDED ${name}`));
    reader.stop();
  },
}));

const others: readonly Case[] = [
  {
    name: 'delete: a copy that is current (TestDeleteWithSuggestion)',
    async run(c) {
      const made = await c.create('a');
      const gone = await c.storage.delete(c.key('a'), { cached: made });
      expect([gone.value.metadata.name, gone.revision > made.revision]).toEqual(['a', true]);
      expect(names((await c.storage.list(c.prefix)).objects)).toBe('');
    },
  },
  {
    name: 'delete: a copy of what is gone (TestDeleteWithSuggestionOfDeletedObject)',
    async run(c) {
      const made = await c.create('a');
      await c.storage.delete(c.key('a'));
      await expect(c.storage.delete(c.key('a'), { cached: made })).rejects.toMatchObject({
        code: 'KEY_NOT_FOUND',
      });
    },
  },
  {
    name: 'delete: the condition holds of an old copy alone (TestPreconditionalDeleteWithOnlySuggestionPass)',
    async run(c) {
      const old = await c.create('a', { uid: 'u1' });
      await c.storage.delete(c.key('a'));
      await c.create('a', { uid: 'u2' });
      await expect(
        c.storage.delete(c.key('a'), { cached: old, preconditions: { uid: 'u1' } }),
      ).rejects.toMatchObject({ code: 'INVALID_OBJECT' });
      expect((await c.storage.get(c.key('a'))).value.metadata.uid).toBe('u2');
    },
  },
  {
    name: 'list: the newest state after a write elsewhere (TestConsistentList)',
    async run(c) {
      await c.create('a');
      const before = (await c.storage.list(c.prefix)).revision;
      const elsewhere = new Context(c.under, 100_000 + before);
      const { revision } = await elsewhere.create('b');
      const page = await c.storage.list(c.prefix);
      expect([names(page.objects), page.revision >= revision]).toEqual(['a', true]);
    },
  },
];

export const TABLE_CASES: readonly Case[] = [...lists, ...watches, ...states, ...others];
