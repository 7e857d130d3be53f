/**
 * The storage contract, part three: watches. Cases follow kubernetes/apiserver pkg/storage/testing
 * (watcher_tests.go).
 */

import { expect } from '@jest/globals';

import { describe, Reader, select, valueOf, withLabels, type Case } from './storage-harness.ts';

export const WATCH_CASES: readonly Case[] = [
  {
    name: 'watch: create, update, delete (TestWatch)',
    async run(c) {
      const base = await c.storage.currentRevision();
      const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(base) }));
      await c.create('a');
      await c.update('a', 'n1');
      await c.storage.delete(c.key('a'));
      await c.create('a');
      expect(await reader.take(4, base)).toEqual([
        'ADDED a @1',
        'MODIFIED a @2',
        'DELETED a @3',
        'ADDED a @4',
      ]);
      reader.stop();
      expect(await reader.next()).toBeUndefined();
    },
  },
  {
    name: 'watch: entering and leaving a selection (TestWatch, TestEtcdWatchSemantics)',
    async run(c) {
      const base = await c.storage.currentRevision();
      const selection = select({ labels: 'on=yes', fields: 'spec.nodeName!=away' });
      const reader = new Reader(
        await c.storage.watch(c.prefix, { resourceVersion: String(base), selection }),
      );
      const label = (on: string): Promise<unknown> =>
        c.storage.guaranteedUpdate(c.key('a'), (current) => ({
          value: withLabels(valueOf(current), { on }),
        }));
      await c.create('a', { labels: { on: 'no' } }); // 1: not seen
      await label('yes'); // 2: enters
      await c.update('a', 'n1'); // 3
      await c.update('a', 'away'); // 4: leaves, shown as it was
      await label('no'); // 5: not seen
      await c.update('a', 'n2'); // 6: not seen
      await label('yes'); // 7: enters
      await c.storage.delete(c.key('a')); // 8
      await c.create('b', { labels: { on: 'no' } }); // 9: not seen
      await c.storage.delete(c.key('b')); // 10: not seen
      await c.create('e', { labels: { on: 'yes' } }); // 11
      expect(await reader.take(2, base)).toEqual(['ADDED a @2', 'MODIFIED a @3']);
      const left = await reader.next();
      expect(left === undefined ? '' : describe(left, base)).toBe('DELETED a @4');
      expect(left?.type === 'DELETED' && left.object.value['spec']).toMatchObject({ nodeName: 'n1' });
      expect(left?.type === 'DELETED' && left.previous?.revision).toBe(base + 3);
      expect(await reader.take(3, base)).toEqual(['ADDED a @7', 'DELETED a @8', 'ADDED e @11']);
      reader.stop();
    },
  },
  {
    name: 'watch: a deletion shows the last state with the revision of the deletion (TestDeleteTriggerWatch, TestWatchDeleteEventObjectHaveLatestRV)',
    async run(c) {
      await c.create('a');
      const last = await c.update('a', 'n1');
      const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(last.revision) }));
      const deleted = await c.storage.delete(c.key('a'));
      const event = await reader.next();
      expect(event?.type === 'DELETED' && event.object.value).toEqual(deleted.value);
      expect(deleted.revision).toBe(last.revision + 1);
      reader.stop();
    },
  },
  {
    name: 'watch: from each revision there was (TestWatchFromNonZero, TestEtcdWatchSemantics)',
    async run(c) {
      const base = await c.storage.currentRevision();
      await c.fill(2);
      await c.update('p0', 'n1');
      await c.storage.delete(c.key('p1'));
      await c.storage.delete(c.key('p0'));
      const all = [
        'ADDED p0 @1',
        'ADDED p1 @2',
        'MODIFIED p0 @3',
        'DELETED p1 @4',
        'DELETED p0 @5',
        'ADDED q @6',
      ];
      const readers: Reader[] = [];
      for (let from = 0; from <= 5; from += 1) {
        readers.push(new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(base + from) })));
      }
      await c.create('q');
      for (const [from, reader] of readers.entries()) {
        expect(await reader.take(6 - from, base)).toEqual(all.slice(from));
        reader.stop();
      }
    },
  },
  {
    name: 'watch: the state first, then what happens (TestWatchFromZero, TestWatchInitial…)',
    async run(c) {
      const base = await c.storage.currentRevision();
      await c.fill(2);
      await c.update('p0', 'n1');
      for (const resourceVersion of ['', '0']) {
        const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion }));
        const first = await reader.next();
        expect(first?.type === 'ADDED' && first.initial).toBe(true);
        expect(first === undefined ? '' : describe(first, base)).toBe('ADDED p0 @3');
        expect(await reader.take(1, base)).toEqual(['ADDED p1 @2']);
        const made = await c.create(`later${resourceVersion}`);
        const event = await reader.next();
        expect(event?.type === 'ADDED' && !event.initial && event.object.revision).toBe(made.revision);
        await c.storage.delete(c.key(`later${resourceVersion}`));
        reader.stop();
      }
    },
  },
  {
    name: 'watch: what happens while the state is read is not lost',
    async run(c) {
      const base = await c.storage.currentRevision();
      await c.fill(2);
      const watch = await c.storage.watch(c.prefix);
      await c.update('p1', 'n1');
      await c.create('p2');
      const reader = new Reader(watch);
      expect(await reader.take(4, base)).toEqual([
        'ADDED p0 @1',
        'ADDED p1 @2',
        'MODIFIED p1 @3',
        'ADDED p2 @4',
      ]);
      reader.stop();
    },
  },
  {
    name: 'watch: initial events end with a bookmark (TestSendInitialEventsBackwardCompatibility, RunWatchSemantics)',
    async run(c) {
      const base = await c.storage.currentRevision();
      await c.fill(2, (index) => ({ labels: { i: String(index) } }));
      const options = { sendInitialEvents: true, bookmarks: true };
      const take = async (reader: Reader, count: number): Promise<string[]> => {
        const seen: string[] = [];
        for (let index = 0; index < count; index += 1) {
          const event = await reader.next();
          seen.push(event === undefined ? 'end' : describe(event, base));
        }
        return seen;
      };
      for (const resourceVersion of ['', '0', String(base + 1), String(base + 2)]) {
        const reader = new Reader(await c.storage.watch(c.prefix, { ...options, resourceVersion }));
        expect(await take(reader, 3)).toEqual(['ADDED p0 @1', 'ADDED p1 @2', 'BOOKMARK @2 end']);
        reader.stop();
      }
      const chosen = new Reader(
        await c.storage.watch(c.prefix, { ...options, selection: select({ labels: 'i=1' }) }),
      );
      expect(await take(chosen, 2)).toEqual(['ADDED p1 @2', 'BOOKMARK @2 end']);
      chosen.stop();
      const none = new Reader(await c.storage.watch(`${c.prefix}/empty`, options));
      expect(await take(none, 1)).toEqual(['BOOKMARK @2 end']);
      none.stop();

      // Without bookmarks nothing tells the end; without initial events there are none.
      const silent = new Reader(await c.storage.watch(c.prefix, { sendInitialEvents: true }));
      const live = new Reader(await c.storage.watch(c.prefix, { sendInitialEvents: false }));
      const after = new Reader(
        await c.storage.watch(c.prefix, { sendInitialEvents: false, resourceVersion: String(base + 1) }),
      );
      await c.create('q');
      expect(await take(silent, 3)).toEqual(['ADDED p0 @1', 'ADDED p1 @2', 'ADDED q @3']);
      expect(await take(live, 1)).toEqual(['ADDED q @3']);
      expect(await take(after, 2)).toEqual(['ADDED p1 @2', 'ADDED q @3']);
      for (const reader of [silent, live, after]) reader.stop();
      // A store refuses; a cache, where the stream has begun by then, tells it in the stream.
      const late = { ...options, resourceVersion: String(base + 1000) };
      const told = await c.storage.watch(c.prefix, late).then(
        async (watch) => {
          const event = await new Reader(watch).next();
          return event?.type === 'ERROR' ? event.error : event;
        },
        (error: unknown) => error,
      );
      expect(told).toMatchObject({
        code: 504,
        message: expect.stringContaining('Too large resource version'),
      });
    },
  },
  {
    name: 'watch: of one object, of a namespace',
    async run(c) {
      const base = await c.storage.currentRevision();
      const from = { resourceVersion: String(base) };
      const one = new Reader(await c.storage.watch(c.key('a'), { ...from, recursive: false }));
      const space = new Reader(await c.storage.watch(`${c.prefix}/ns`, from));
      const name = new Reader(
        await c.storage.watch(c.prefix, { ...from, selection: select({ fields: 'metadata.name=a' }) }),
      );
      await c.create('ab');
      await c.create('a', { namespace: 'ns2' });
      await c.create('a');
      await c.storage.delete(c.key('a'));
      expect(await one.take(2, base)).toEqual(['ADDED a @3', 'DELETED a @4']);
      expect(await space.take(3, base)).toEqual(['ADDED ab @1', 'ADDED a @3', 'DELETED a @4']);
      expect(await name.take(3, base)).toEqual(['ADDED a @2', 'ADDED a @3', 'DELETED a @4']);
      for (const reader of [one, space, name]) reader.stop();
    },
  },
  {
    name: 'watch: from what is compacted away (TestWatchError…, compaction)',
    async run(c) {
      const made = await c.create('a');
      for (const node of ['n1', 'n2', 'n3']) await c.update('a', node);
      await c.under.compact(made.revision + 3);
      const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(made.revision) }));
      const event = await reader.next();
      expect(event?.type === 'ERROR' && [event.error.code, event.error.reason, event.error.message]).toEqual([
        410,
        'Expired',
        'The resourceVersion for the provided watch is too old.',
      ]);
      expect(await reader.next()).toBeUndefined();
      const fresh = new Reader(await c.storage.watch(c.prefix));
      expect(await fresh.take(1, made.revision)).toEqual(['ADDED a @3']);
      fresh.stop();
    },
  },
  {
    name: 'watch: an object that cannot be read ends it (TestWatchError)',
    async run(c) {
      const base = await c.storage.currentRevision();
      const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(base) }));
      await c.create('a');
      await c.under.write(c.full('b'), Buffer.from('no object'));
      await c.create('d');
      expect(await reader.take(1, base)).toEqual(['ADDED a @1']);
      const event = await reader.next();
      expect(event?.type === 'ERROR' && event.error.code).toBe(500);
      expect(await reader.next()).toBeUndefined();
      const initial = new Reader(await c.storage.watch(c.prefix));
      const failed = await initial.next();
      expect(failed?.type).toBe('ERROR');
    },
  },
  {
    name: 'watch: given up by its signal (TestWatchContextCancel)',
    async run(c) {
      const controller = new AbortController();
      const { signal } = controller;
      const reader = new Reader(await c.storage.watch(c.prefix, { signal }));
      const waiting = reader.next();
      controller.abort();
      expect(await waiting).toBeUndefined();
      await expect(c.storage.watch(c.prefix, { signal })).rejects.toThrow();
    },
  },
  {
    name: 'watch: leaving the loop stops it; stopping before the first look ends it at once',
    async run(c) {
      await c.fill(1);
      for await (const batch of await c.storage.watch(c.prefix)) {
        expect(batch).toHaveLength(1);
        break;
      }
      const watch = await c.storage.watch(c.prefix);
      watch.stop();
      watch.stop();
      const seen: unknown[] = [];
      for await (const batch of watch) seen.push(...batch.filter(({ type }) => type !== 'ADDED'));
      expect(seen).toEqual([]);
    },
  },
  {
    name: 'watch: a reader that is slow loses nothing (TestDelayedWatchDelivery)',
    async run(c) {
      const base = await c.storage.currentRevision();
      const reader = new Reader(await c.storage.watch(c.prefix, { resourceVersion: String(base) }));
      await c.create('a');
      for (let index = 0; index < 60; index += 1) await c.update('a', `n${index}`);
      const seen = await reader.take(61, base);
      expect(seen).toEqual(['ADDED a @1', ...Array.from({ length: 60 }, (_, i) => `MODIFIED a @${i + 2}`)]);
      reader.stop();
    },
  },
  {
    name: 'progress: asked for, told at the revision of the store (TestProgressNotify, TestRequestWatchProgress)',
    needsProgress: true,
    async run(c) {
      expect(await c.storage.supportsProgress()).toBe(true);
      const made = await c.create('a');
      const from = { resourceVersion: String(made.revision) };
      const wants = new Reader(await c.storage.watch(c.prefix, { ...from, bookmarks: true }));
      const quiet = new Reader(await c.storage.watch(c.prefix, from));
      // Elsewhere, so that nothing but a bookmark can tell of it.
      const other = await c.under.backend
        .storage({ ...c.storage.resource, prefix: `${c.prefix}-other` })
        .create(`${c.prefix}-other/x`, { ...made.value, metadata: { name: 'x' } });
      const asking = setInterval(() => c.storage.requestProgress(), 20);
      try {
        let event = await wants.next();
        // The first may be older than what was written elsewhere; they never go back.
        while (event?.type === 'BOOKMARK' && event.revision < other.revision) event = await wants.next();
        expect(event === undefined ? '' : describe(event, made.revision)).toBe('BOOKMARK @1');
      } finally {
        clearInterval(asking);
      }
      await c.create('b');
      const next = await quiet.next();
      expect(next?.type).toBe('ADDED');
      wants.stop();
      quiet.stop();
    },
  },
];
