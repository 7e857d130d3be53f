/**
 * Watch laws under random histories (docs: W1–W13): each watcher gets exactly the events of its range and
 * filter from its start on, in order, once, no revision split over batches, however its sink stalls and the
 * past is compacted and the store replaced; or it is told of compaction once, and what it got until then is
 * the beginning of that list.
 */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { EventType, type WatchBatch } from '../../src/watch/events.ts';
import { WatchHub } from '../../src/watch/hub.ts';
import type { Watcher, WatchRequest, WatchSink } from '../../src/watch/watcher.ts';
import { Bench, noPause } from '../mvcc/bench.ts';
import { covers, Model, type ModelChange, type ModelOperation } from '../mvcc/model.ts';

const KEYS = ['a', 'b', 'ba', 'c'];
const key = fc.constantFrom(...KEYS);

const operation: fc.Arbitrary<ModelOperation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.constantFrom('', 'x', 'y'.repeat(50)),
      lease: fc.constant(0n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), key, end: fc.constantFrom('', 'c', '\0') }),
  },
);

const request = fc.record({
  key: fc.constantFrom('a', 'b'),
  end: fc.constantFrom('', 'bb', 'c', '\0'),
  /** 0: next; else relative to the current revision. */
  start: fc.oneof(fc.constant(0), fc.integer({ min: -12, max: 6 })),
  wantsPuts: fc.boolean(),
  wantsDeletes: fc.boolean(),
  withPrevious: fc.boolean(),
});

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('turn' as const),
      // A turn applies several transactions and tells the hub once.
      txns: fc.array(fc.array(operation, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('watch' as const), request }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('stall' as const), sink: fc.nat(20), room: fc.nat(3) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('progress' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(10), work: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), sink: fc.nat(20) }) },
);

class ModelSink implements WatchSink {
  readonly request: WatchRequest;
  readonly start: number;
  readonly batches: WatchBatch[] = [];
  readonly progress: { after: number; revision: number }[] = [];
  compactedAt = -1;
  /** Batches it still takes. */
  room = Infinity;
  watcher: Watcher | undefined = undefined;
  canceledAfter: number | undefined = undefined;

  constructor(wanted: WatchRequest, start: number) {
    this.request = wanted;
    this.start = start;
  }

  writable(): boolean {
    return this.room > 0;
  }

  offer(batch: WatchBatch): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.batches.push(batch);
    return true;
  }

  compacted(revision: number): void {
    expect(this.room).toBeGreaterThan(0);
    expect(this.compactedAt).toBe(-1);
    this.compactedAt = revision;
  }

  wants({ key: name, value, main }: ModelChange): boolean {
    return (
      main >= this.start &&
      covers(this.request.key, this.request.end, name) &&
      (value === undefined ? this.request.wantsDeletes : this.request.wantsPuts)
    );
  }
}

/** The laws one watcher's deliveries must obey. */
function check(sink: ModelSink, model: Model): void {
  const wanted = model.changes.filter((change) => sink.wants(change));
  const events = sink.batches.flatMap((batch) => batch.events);
  const delivered = events.map(({ type, kv }) => [type, kv.keyString, kv.modRevision, kv.value.toString()]);
  const text = wanted.map(({ key: name, value, main }) => [
    value === undefined ? EventType.DELETE : EventType.PUT,
    name,
    main,
    value ?? '',
  ]);
  if (sink.compactedAt >= 0) {
    expect(delivered).toEqual(text.slice(0, delivered.length));
    // What it missed begins below the compacted revision.
    const missed = wanted[delivered.length];
    expect(Math.min(missed?.main ?? Infinity, sink.start)).toBeLessThan(sink.compactedAt);
  } else if (sink.canceledAfter !== undefined) {
    expect(delivered).toEqual(text.slice(0, delivered.length));
    expect(sink.batches).toHaveLength(sink.canceledAfter);
  } else {
    expect(delivered).toEqual(text);
  }
  let last = 0;
  for (const batch of sink.batches) {
    expect(batch.events[0].kv.modRevision).toBeGreaterThan(last);
    last = batch.events.at(-1)!.kv.modRevision;
    expect(batch.revision).toBeGreaterThanOrEqual(last);
  }
  for (const { after, revision } of sink.progress) {
    expect(revision).toBeGreaterThanOrEqual(sink.request.startRevision);
    const before = sink.batches.slice(0, after).flatMap((batch) => batch.events);
    const later = sink.batches.slice(after).flatMap((batch) => batch.events);
    for (const { kv } of before) expect(kv.modRevision).toBeLessThanOrEqual(revision);
    for (const { kv } of later) expect(kv.modRevision).toBeGreaterThan(revision);
  }
  if (!sink.request.withPrevious) return;
  for (const { kv, previous, isCreate } of events) {
    const before = model.newest(kv.keyString, kv.modRevision - 1);
    if (before === undefined || isCreate) expect(previous).toBeNull();
    else if (previous === null) expect(kv.modRevision - 1).toBeLessThan(model.compacted);
    else expect([previous!.modRevision, previous!.value.toString()]).toEqual([before.main, before.value]);
  }
}

test('deliveries equal the twin under stalls, compactions, restarts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.record({
        watchersMax: fc.constantFrom(1, 2, 512),
        revisionsMax: fc.constantFrom(1, 3, 1000),
        bytesMax: fc.constantFrom(1, 100, 1e6),
      }),
      async (steps, options) => {
        let bench = await Bench.open();
        const hub = new WatchHub(bench.store, options);
        const model = new Model();
        const sinks: ModelSink[] = [];
        for (const each of steps) {
          switch (each.kind) {
            case 'turn': {
              const events = each.txns.flatMap((operations) => {
                model.apply(operations);
                return bench.write((txn) => {
                  for (const change of operations) {
                    if (change.kind === 'put') txn.put(change.key, Buffer.from(change.value), 0n);
                    else txn.deleteRange(change.key, change.end);
                  }
                });
              });
              hub.notify(events);
              break;
            }
            case 'watch': {
              const { start, ...rest } = each.request;
              const startRevision = start === 0 ? 0 : Math.max(1, model.current + start);
              const wanted = { ...rest, startRevision };
              const sink = new ModelSink(wanted, startRevision === 0 ? model.current + 1 : startRevision);
              sink.watcher = hub.watch(wanted, sink);
              sinks.push(sink);
              break;
            }
            case 'stall': {
              const sink = sinks[each.sink];
              if (sink !== undefined) sink.room = each.room;
              break;
            }
            case 'sync':
              hub.syncSome();
              break;
            case 'progress':
              for (const sink of sinks) {
                const revision = hub.progressRevision([sink.watcher!]);
                if (revision !== undefined) sink.progress.push({ after: sink.batches.length, revision });
              }
              break;
            case 'compact': {
              const revision = model.current - each.back;
              if (bench.compact(revision) === 'ok') model.compacted = revision;
              if (each.work) await bench.store.runCompaction(noPause);
              break;
            }
            case 'replace':
              bench = await bench.reopen();
              hub.replaceStore(bench.store);
              break;
            case 'cancel': {
              const sink = sinks[each.sink];
              if (sink === undefined || sink.canceledAfter !== undefined) break;
              hub.cancel(sink.watcher!);
              sink.canceledAfter = sink.batches.length;
              break;
            }
          }
        }
        for (const sink of sinks) sink.room = Infinity;
        // As long as a pass finds something; each takes at most one revision of one watcher here.
        let passes = 0;
        while (hub.syncSome()) expect(++passes).toBeLessThan(50_000);
        expect(hub.unsyncedCount).toBe(0);
        for (const sink of sinks) check(sink, model);
        expect(hub.watcherCount).toBe(
          sinks.filter((sink) => sink.canceledAfter === undefined && sink.compactedAt < 0).length,
        );
      },
    ),
    { numRuns: 300 },
  );
});
