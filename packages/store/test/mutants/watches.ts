/** Seeded bugs of watches. */
import type { Mutant } from './mutant.ts';

export const WATCHES: readonly Mutant[] = [
  {
    name: 'catching-up-skips-what-was-not-read',
    rows: [63],
    law: 'W3',
    file: 'store/src/watch/hub.ts',
    find: '        watcher.nextRevision = Math.max(watcher.nextRevision, through + 1);\n',
    replace: '        watcher.nextRevision = Math.max(watcher.nextRevision, this.toldRevision + 1);\n',
    by: ['sim', 'packages/store/src/watch'],
    why: 'a watch from the past loses what one pass did not hold',
  },
  {
    name: 'slow-watcher-loses-what-it-did-not-take',
    rows: [63],
    law: 'W3',
    file: 'store/src/watch/hub.ts',
    find: '    watcher.nextRevision = batch.events[0].kv.modRevision;\n',
    replace: '    watcher.nextRevision = batch.events[0].kv.modRevision + 1;\n',
    by: ['sim', 'packages/store/src/watch'],
    why: 'a client that is slow once misses events (etcd #17529)',
  },
  {
    name: 'progress-overtakes-waiting-events',
    rows: [64],
    law: 'W6',
    file: 'store/src/watch/hub.ts',
    find: "      if (watcher.state !== 'synced' || watcher.request.startRevision > this.toldRevision) return undefined;",
    replace: '      if (watcher.request.startRevision > this.toldRevision) return undefined;',
    by: ['sim', 'packages/store/src/watch'],
    why: 'a cache believes to be complete when it is not (etcd #15220)',
  },
  {
    name: 'progress-is-told-to-a-watch-of-the-future',
    rows: [66],
    law: 'W10',
    file: 'store/src/watch/hub.ts',
    find: "      if (watcher.state !== 'synced' || watcher.request.startRevision > this.toldRevision) return undefined;",
    replace: "      if (watcher.state !== 'synced') return undefined;",
    by: ['sim', 'packages/store/src/watch'],
    why: 'a watch hears of revisions below its start (etcd #20221)',
  },
  {
    name: 'watches-go-back-after-a-snapshot',
    rows: [65],
    law: 'W2',
    file: 'store/src/watch/hub.ts',
    find: '      watcher.nextRevision = Math.max(watcher.nextRevision, this.toldRevision + 1);\n',
    replace: '',
    by: ['sim', 'packages/store/src/watch'],
    why: 'events are told twice when the member is sent a snapshot (etcd #15271)',
  },
  {
    name: 'watches-read-the-store-of-before-the-snapshot',
    rows: [50, 65],
    law: 'N1',
    file: 'store/src/watch/hub.ts',
    find: '    this.store = store;\n    this.toldRevision = store.currentRevision;\n    for',
    replace: '    this.toldRevision = store.currentRevision;\n    for',
    by: ['sim', 'packages/store/src/watch'],
    why: 'what the snapshot brought is never told',
  },
  {
    name: 'watch-of-the-future-gets-older-events',
    rows: [66],
    law: 'W10',
    file: 'store/src/watch/watcher.ts',
    find: '    if (event.kv.modRevision < this.nextRevision) return false;\n',
    replace: "    if (event.kv.modRevision < this.nextRevision && this.state !== 'synced') return false;\n",
    by: ['sim', 'packages/store/src/watch'],
    why: 'a watch begins before its start revision',
  },
  {
    name: 'watch-id-may-be-given-twice',
    rows: [67],
    law: 'W2',
    file: 'store/src/watch/watch-stream.ts',
    find: '      while (this.watches.has(this.nextId)) this.nextId++;\n',
    replace: '',
    by: ['packages/store/src/watch', 'sim'],
    why: 'two watches of a stream answer to one id (etcd #20707)',
  },
  {
    name: 'watch-id-of-the-client-may-be-taken',
    rows: [67],
    law: 'W2',
    file: 'store/src/watch/watch-stream.ts',
    find: '    } else if (this.watches.has(id)) {\n',
    replace: '    } else if (this.watches.has(id) && id < 0n) {\n',
    by: ['packages/store/src/watch', 'sim'],
    why: 'a second watch takes the place of the first, which nobody can cancel any more',
  },
  {
    name: 'revision-is-split-where-a-pass-is-full',
    rows: [68],
    law: 'W4',
    file: 'store/src/mvcc/state.ts',
    find: '      for (let sub = 0; sub < count; sub++) {',
    replace: '      for (let sub = 0; sub < count && bytes < bytesMax; sub++) {',
    by: ['sim', 'packages/store/test/watch'],
    why: 'a txn is told in part',
  },
  {
    name: 'fragments-do-not-say-that-more-come',
    rows: [68],
    law: 'W4',
    file: 'store/src/watch/watch-stream.ts',
    find: 'this.response(piece, end < events.length)',
    replace: 'this.response(piece, end < start)',
    by: ['packages/store/src/watch', 'sim'],
    why: 'a client takes a part of a revision for all of it',
  },
  {
    name: 'watchers-are-given-one-anothers-events',
    rows: [69],
    law: 'W9',
    file: 'store/src/watch/events.ts',
    find: '    if (this.extension?.event !== event) this.extension',
    replace: '    if (this.extension === undefined) this.extension',
    by: ['sim', 'packages/store/src/watch'],
    why: 'who watches b is told of a',
  },
  {
    name: 'previous-value-is-told-by-chance',
    rows: [69],
    law: 'W7',
    file: 'store/src/watch/hub.ts',
    find: '(watcher.chain ?? withPrevious).extend(event);',
    replace: '(watcher.chain ?? plain).extend(event);',
    by: ['sim', 'packages/store/src/watch'],
    why: 'prev_kv is missing',
  },
  {
    name: 'compacted-watcher-is-forgotten-while-it-is-slow',
    rows: [70],
    law: 'W11',
    file: 'store/src/watch/hub.ts',
    find: `      if (!watcher.sink.writable()) continue;
      if (watcher.nextRevision < compactRevision) {
        this.unsynced.delete(watcher);
        watcher.state = 'compacted';
        watcher.sink.compacted(compactRevision);
        continue;
      }
`,
    replace: `      if (watcher.nextRevision < compactRevision) {
        this.unsynced.delete(watcher);
        watcher.state = 'compacted';
        if (watcher.sink.writable()) watcher.sink.compacted(compactRevision);
        continue;
      }
      if (!watcher.sink.writable()) continue;
`,
    by: ['sim', 'packages/store/src/watch'],
    why: 'a watch that can never go on says nothing',
  },
  {
    name: 'watch-below-the-compaction-begins-at-it',
    rows: [70],
    law: 'W11',
    file: 'store/src/watch/hub.ts',
    find: '      if (watcher.nextRevision < compactRevision) {\n',
    replace: `      watcher.nextRevision = Math.max(watcher.nextRevision, compactRevision);
      if (watcher.nextRevision < compactRevision) {
`,
    by: ['sim', 'packages/store/src/watch'],
    why: 'a hole in a watch that nobody is told of',
  },
];
