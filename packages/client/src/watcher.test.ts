import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { Watcher, type WatchBatch, type WatchOptions } from './watcher.ts';

/** The server's side of one watch: a history, sent from any revision, cut and repeated at will. */
class Host {
  readonly calls: string[] = [];
  cancel(): void {
    this.calls.push('cancel');
  }
  park(): void {
    this.calls.push('park');
  }
  unpark(): void {
    this.calls.push('unpark');
  }
}

function event(revision: number, key = 'k'): mvccpb.Event {
  return new mvccpb.Event({ kv: new mvccpb.KeyValue({ key: Buffer.from(key), modRevision: revision }) });
}

function response(revision: number, events: mvccpb.Event[], fragment = false): etcdserverpb.WatchResponse {
  return new etcdserverpb.WatchResponse({
    header: new etcdserverpb.ResponseHeader({ revision }),
    events,
    fragment,
  });
}

function listening(options: WatchOptions = {}): { watcher: Watcher; batches: WatchBatch[]; host: Host } {
  const host = new Host();
  const watcher = new Watcher('k', options, host);
  const batches: WatchBatch[] = [];
  watcher.listen({ batch: (batch) => batches.push(batch), end: () => {} });
  return { watcher, batches, host };
}

const revisions = (batches: readonly WatchBatch[]): (number | undefined)[][] =>
  batches.map((batch) => batch.events.map((item) => item.kv?.modRevision));

test('"from now on" is what the server confirmed, and events move it', () => {
  const { watcher, batches } = listening();
  expect(watcher.nextRevision).toBe(0);
  watcher.confirmed(41);
  expect(watcher.nextRevision).toBe(42);
  watcher.received(response(50, [event(44), event(45), event(45, 'l')]));
  expect(watcher.nextRevision).toBe(46);
  watcher.confirmed(60);
  expect(watcher.nextRevision).toBe(46);
  expect(revisions(batches)).toEqual([[44, 45, 45]]);
});

test('a progress notification is delivered and moves the place; an answer to a request only is delivered', () => {
  const { watcher, batches } = listening({ startRevision: 10 });
  watcher.confirmed(20);
  watcher.received(response(20, []));
  expect(watcher.nextRevision).toBe(21);
  watcher.progressed(30);
  expect(watcher.nextRevision).toBe(21);
  expect(batches.map((batch) => [batch.progress, batch.revision])).toEqual([
    [true, 20],
    [true, 30],
  ]);
});

test('fragments are one batch; a stream that breaks between them delivers none of it', () => {
  const { watcher, batches } = listening({ startRevision: 5 });
  watcher.received(response(9, [event(7, 'a')], true));
  watcher.received(response(9, [event(7, 'b')], true));
  expect(batches).toEqual([]);
  expect(watcher.nextRevision).toBe(5);
  watcher.restarted();
  for (const [key, fragment] of [
    ['a', true],
    ['b', true],
    ['c', false],
  ] as const) {
    watcher.received(response(9, [event(7, key)], fragment));
  }
  expect(batches[0]?.events.map((item) => item.kv?.key.toString())).toEqual(['a', 'b', 'c']);
  expect(watcher.nextRevision).toBe(8);
});

test('a reader that does not read is parked at its bound and unparked at half of it', async () => {
  const host = new Host();
  const watcher = new Watcher('k', { startRevision: 1, bufferEventsMax: 4 }, host);
  for (let revision = 1; revision <= 8; revision++) watcher.received(response(revision, [event(revision)]));
  expect(host.calls).toEqual(['park']);
  // What came after the bound is not held: it will be asked for again from here.
  expect(watcher.nextRevision).toBe(6);
  const iterator = watcher[Symbol.asyncIterator]();
  const got: unknown[] = [];
  for (let i = 0; i < 5; i++) got.push((await iterator.next()).value);
  expect(host.calls).toEqual(['park', 'unpark']);
  watcher.received(response(8, [event(6), event(7), event(8)]));
  const next = await iterator.next();
  expect(next.done === true ? undefined : revisions([next.value])).toEqual([[6, 7, 8]]);
  await iterator.return(undefined);
  expect(host.calls).toEqual(['park', 'unpark', 'cancel']);
});

test('an unread buffer keeps one progress, not many', async () => {
  const watcher = new Watcher('k', { startRevision: 1 }, new Host());
  for (let revision = 1; revision <= 100; revision++) watcher.received(response(revision, []));
  const { value } = await watcher[Symbol.asyncIterator]().next();
  expect(value).toMatchObject({ progress: true, revision: 100 });
});

test('any cuts, fragments and repetitions deliver each revision once, whole and in order', () => {
  const history = Array.from({ length: 30 }, (_unused, i) => ({ revision: i + 2, keys: (i % 3) + 1 }));
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          batch: fc.integer({ min: 1, max: 5 }),
          cut: fc.boolean(),
          back: fc.integer({ min: 0, max: 4 }),
          fragment: fc.boolean(),
        }),
        { maxLength: 60 },
      ),
      (steps) => {
        const { watcher, batches } = listening({ startRevision: 2 });
        let sent = 2;
        for (const step of steps) {
          const part = history.filter((item) => item.revision >= sent && item.revision < sent + step.batch);
          const events = part.flatMap((item) =>
            Array.from({ length: item.keys }, (_unused, k) => event(item.revision, `k${k}`)),
          );
          if (events.length === 0) break;
          const head = step.fragment ? events.slice(0, 1) : [];
          const rest = step.fragment ? events.slice(1) : events;
          if (head.length > 0) watcher.received(response(99, head, true));
          if (step.cut) {
            // The stream breaks; the next one starts where the watcher says, or (an odd server) before it.
            watcher.restarted();
            sent = Math.max(2, watcher.nextRevision - step.back);
            continue;
          }
          watcher.received(response(99, rest));
          sent += step.batch;
        }
        const got = batches.flatMap((batch) => batch.events.map((item) => item.kv?.modRevision ?? 0));
        const until = watcher.nextRevision;
        const want = history
          .filter((item) => item.revision < until)
          .flatMap((item) => Array.from({ length: item.keys }, () => item.revision));
        expect(got).toEqual(want);
        // Never a revision over two batches.
        const firsts = batches.map((batch) => batch.events[0]?.kv?.modRevision ?? 0);
        expect(new Set(firsts).size).toBe(firsts.length);
      },
    ),
    { numRuns: 200 },
  );
});

describe('an answer to a progress request that is older than the watch', () => {
  const progress = (batches: readonly WatchBatch[]): number[] => batches.map(({ revision }) => revision);

  test('says nothing before the server has the watch', () => {
    const { watcher, batches } = listening({ startRevision: 10 });
    watcher.restarted(0);
    watcher.progressed(20);
    watcher.confirmed(20);
    expect(progress(batches)).toEqual([]);
    watcher.progressed(20);
    expect(progress(batches)).toEqual([20]);
  });

  test('says nothing of the events that are still to come', () => {
    const { watcher, batches } = listening({ startRevision: 10 });
    // Two requests were on their way when the watch was asked for: their answers may come after its confirmation.
    watcher.restarted(2);
    watcher.confirmed(20);
    watcher.progressed(20);
    expect(progress(batches)).toEqual([]);
    // Beyond what the server had when it took the watch: made after that, and then true for it as well.
    watcher.progressed(21);
    watcher.progressed(21);
    expect(progress(batches)).toEqual([21, 21]);
  });

  test('is true for a watch that starts after it, or has seen more', () => {
    const later = listening({ startRevision: 21 });
    later.watcher.restarted(1);
    later.watcher.confirmed(20);
    later.watcher.progressed(20);
    expect(progress(later.batches)).toEqual([20]);
    const further = listening({ startRevision: 10 });
    further.watcher.restarted(1);
    further.watcher.confirmed(20);
    further.watcher.received(response(20, [event(20)]));
    further.watcher.progressed(20);
    expect(progress(further.batches.slice(1))).toEqual([20]);
  });

  test('is only so many answers long, also where nothing is written', () => {
    const { watcher, batches } = listening({ startRevision: 10 });
    watcher.restarted(1);
    watcher.confirmed(20);
    watcher.progressed(20);
    watcher.progressed(20);
    expect(progress(batches)).toEqual([20]);
  });
});
