/** Who shares which watch, before a member that does as it is told. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Prng, systemClock, type Clock } from '@keelson/base';
import { etcdserverpb, mvccpb, services } from '@keelson/proto';
import { MethodTable, nativeChannel, nativeServer, type DuplexStream, type RpcServer } from '@keelson/rpc';
import type { Receiver } from './broadcast.ts';
import { Namespace } from './namespace.ts';
import { Upstream } from './upstream.ts';
import type { WatchBatch } from './watch-batch.ts';
import { WatchHub } from './watch-hub.ts';

const { WatchResponse, ResponseHeader } = etcdserverpb;
type Stream = DuplexStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

/** A watch that was asked for. */
interface Asked {
  readonly stream: Stream;
  readonly token: string;
  readonly request: etcdserverpb.WatchCreateRequest;
}

class FakeMember {
  readonly asked: Asked[] = [];
  readonly cancelled: bigint[] = [];
  /** Questions how far it has come. */
  questions = 0;
  port = 0;
  private readonly server: RpcServer;
  private wake: () => void = () => {};

  constructor() {
    const table = new MethodTable().bidi(services.Watch.methods.watch, (stream) => {
      const token = stream.call.metadata.text('token') ?? '';
      stream.onMessage(({ createRequest, cancelRequest, progressRequest }) => {
        if (createRequest !== undefined) this.asked.push({ stream, token, request: createRequest });
        if (cancelRequest !== undefined) this.cancelled.push(cancelRequest.watchId);
        if (progressRequest !== undefined) this.questions++;
        this.wake();
      });
    });
    this.server = nativeServer(table);
  }

  async start(): Promise<void> {
    this.port = (await this.server.listen({ host: '127.0.0.1', port: 0 })).port;
  }

  /** The watch asked for as number `n`, from 0 on, once it is. */
  async watch(n: number): Promise<Asked> {
    await this.until(() => this.asked.length > n);
    return this.asked[n];
  }

  async until(enough: () => boolean): Promise<void> {
    while (!enough())
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
  }

  stop(): Promise<void> {
    return this.server.close();
  }
}

const header = (revision: number): etcdserverpb.ResponseHeader => new ResponseHeader({ revision });

function confirm({ stream }: Asked, watchId: bigint, revision: number): void {
  stream.write(new WatchResponse({ header: header(revision), watchId, created: true }));
}

function happen({ stream }: Asked, watchId: bigint, fragment: boolean, ...revisions: number[]): void {
  const events = revisions.map(
    (modRevision) => new mvccpb.Event({ kv: new mvccpb.KeyValue({ key: Buffer.from('k'), modRevision }) }),
  );
  stream.write(new WatchResponse({ header: header(revisions.at(-1)!), watchId, events, fragment }));
}

class Listener implements Receiver {
  readonly told: string[] = [];
  readonly token: string;
  nextRevision: number;
  private wake: () => void = () => {};

  constructor(nextRevision: number, token = '') {
    this.nextRevision = nextRevision;
    this.token = token;
  }
  confirmed(): void {
    this.tell('confirmed');
  }
  events({ events, last }: WatchBatch): void {
    const seen = events.map(({ kv }) => kv!.modRevision).filter((revision) => revision >= this.nextRevision);
    this.nextRevision = Math.max(this.nextRevision, last + 1);
    if (seen.length > 0) this.tell(seen.join(' '));
  }
  progress(told: etcdserverpb.ResponseHeader | undefined): void {
    this.tell(`progress ${told?.revision}`);
  }
  cancelled({ cancelReason, compactRevision }: etcdserverpb.WatchResponse): void {
    this.tell(`cancelled ${cancelReason}${compactRevision}`);
  }
  async until(...told: string[]): Promise<void> {
    while (this.told.length < told.length)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    expect(this.told).toEqual(told);
  }
  private tell(what: string): void {
    this.told.push(what);
    this.wake();
  }
}

const RANGE = { key: Buffer.from('k'), end: Buffer.alloc(0) };
/** Time that a test lets pass at once. */
let skippedMs = 0;
const clock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() + skippedMs,
  setTimer: (delayMs, task) => systemClock.setTimer(delayMs, task),
};
let member: FakeMember;
let upstream: Upstream;
let hub: WatchHub;

beforeEach(async () => {
  member = new FakeMember();
  await member.start();
  upstream = new Upstream({
    endpoints: [`127.0.0.1:${member.port}`],
    channelFactory: (address) => nativeChannel(address),
    clock,
    prng: new Prng(1),
    secure: false,
    sendBytesMax: 0,
  });
  hub = new WatchHub(upstream, new Namespace(''));
});
afterEach(async () => {
  hub.close();
  upstream.close();
  await member.stop();
});

function attach(nextRevision: number, token = ''): Listener {
  const listener = new Listener(nextRevision, token);
  hub.attach(listener, RANGE);
  return listener;
}

describe('the hub', () => {
  test('who comes to the same place shares; who is behind is joined when both have come as far', async () => {
    const first = attach(11);
    const asked = await member.watch(0);
    expect(asked.request).toMatchObject({
      startRevision: 11,
      prevKv: true,
      progressNotify: true,
      fragment: true,
    });
    const second = attach(11);
    confirm(asked, 5n, 10);
    await first.until('confirmed');
    await second.until('confirmed');
    // It stands and delivers as things happen: also for one that begins later.
    const later = attach(13);
    await later.until('confirmed');
    const behind = attach(3);
    const own = await member.watch(1);
    expect(own.request.startRevision).toBe(3);
    confirm(own, 6n, 10);
    happen(own, 6n, false, 3, 7);
    await behind.until('confirmed', '3 7');
    expect([hub.broadcastCount, hub.coalescedWatchers]).toEqual([2, 2]);
    happen(asked, 5n, false, 11, 12);
    happen(own, 6n, false, 11, 12);
    await behind.until('confirmed', '3 7', '11 12');
    expect([hub.broadcastCount, hub.coalescedWatchers]).toEqual([1, 3]);
    await member.until(() => member.cancelled.length === 1);
    expect(member.cancelled).toEqual([6n]);
    happen(asked, 5n, false, 13);
    for (const [listener, told] of [
      [first, ['11 12', '13']],
      [second, ['11 12', '13']],
      [later, ['13']],
      [behind, ['3 7', '11 12', '13']],
    ] as const)
      await listener.until('confirmed', ...told);
    expect(hub.coalescedEvents).toBe(2 + 3);
  });

  test('pieces are put together; after a break the watch goes on where it was, and nothing comes twice', async () => {
    const listener = attach(5);
    const asked = await member.watch(0);
    confirm(asked, 0n, 4);
    happen(asked, 0n, true, 5);
    happen(asked, 0n, false, 5, 6);
    await listener.until('confirmed', '5 5 6');
    happen(asked, 0n, true, 7);
    asked.stream.write(new WatchResponse({ watchId: 99n }));
    asked.stream.end();
    const again = await member.watch(1);
    expect(again.request.startRevision).toBe(7);
    confirm(again, 3n, 9);
    happen(again, 3n, false, 6, 7, 8);
    await listener.until('confirmed', '5 5 6', 'confirmed', '7 8');
    again.stream.write(new WatchResponse({ header: header(20), watchId: 3n }));
    await listener.until('confirmed', '5 5 6', 'confirmed', '7 8', 'progress 20');
    again.stream.end();
    expect((await member.watch(2)).request.startRevision).toBe(21);
  });

  test('a revision that is gone ends those that need it, and no others', async () => {
    const old = attach(5);
    const asked = await member.watch(0);
    confirm(asked, 0n, 20);
    await old.until('confirmed');
    happen(asked, 0n, false, 20);
    await old.until('confirmed', '20');
    const ahead = attach(30);
    await ahead.until('confirmed');
    asked.stream.write(
      new WatchResponse({ header: header(40), watchId: 0n, canceled: true, compactRevision: 25 }),
    );
    await old.until('confirmed', '20', 'cancelled 25');
    const again = await member.watch(1);
    expect(again.request.startRevision).toBe(30);
    confirm(again, 1n, 40);
    happen(again, 1n, false, 31);
    await ahead.until('confirmed', 'confirmed', '31');
  });

  test('a refusal concerns whose name it ran in; others get one in their own', async () => {
    const owner = attach(5, 'alice');
    const asked = await member.watch(0);
    expect(asked.token).toBe('alice');
    confirm(asked, 0n, 4);
    await owner.until('confirmed');
    const guest = attach(5, 'bob');
    await guest.until('confirmed');
    asked.stream.write(
      new WatchResponse({ header: header(4), watchId: 0n, canceled: true, cancelReason: 'no more ' }),
    );
    await owner.until('confirmed', 'cancelled no more 0');
    const own = await member.watch(1);
    expect([own.token, own.request.startRevision]).toEqual(['bob', 5]);
    own.stream.write(
      new WatchResponse({ watchId: -1n, created: true, canceled: true, cancelReason: 'nor you ' }),
    );
    await guest.until('confirmed', 'cancelled nor you 0');
    expect([hub.watcherCount, hub.broadcastCount, hub.trunkCount]).toEqual([0, 0, 0]);
  });

  test('who leaves before the answer leaves nothing behind', async () => {
    const leaver = attach(5);
    const stayer = attach(9);
    const [asked, other] = [await member.watch(0), await member.watch(1)];
    hub.detach(leaver);
    confirm(asked, 0n, 4);
    confirm(other, 1n, 4);
    await stayer.until('confirmed');
    await member.until(() => member.cancelled.length === 1);
    expect([member.cancelled, leaver.told, hub.broadcastCount]).toEqual([[0n], [], 1]);
  });

  const progressOf = (...listeners: Listener[]): number[] => {
    const told: number[] = [];
    hub.requestProgress(
      () => listeners,
      (at) => void told.push(at?.revision ?? 0),
    );
    return told;
  };
  const answerProgress = ({ stream }: Asked, revision: number): boolean =>
    stream.write(new WatchResponse({ header: header(revision), watchId: -1n }));

  test('how far it has come is told once everything before has been delivered', async () => {
    const listener = attach(5);
    const asked = await member.watch(0);
    confirm(asked, 0n, 4);
    await listener.until('confirmed');
    const [first, second] = [progressOf(listener), progressOf(listener)];
    await member.until(() => member.questions > 0);
    happen(asked, 0n, false, 5);
    answerProgress(asked, 8);
    happen(asked, 0n, false, 9);
    await listener.until('confirmed', '5', '9');
    expect([first, second]).toEqual([[8], [8]]);
    expect(member.questions).toBe(1);
  });

  test('a question that the member passes over is asked again', async () => {
    const listener = attach(5);
    const asked = await member.watch(0);
    confirm(asked, 0n, 4);
    await listener.until('confirmed');
    const lost = progressOf(listener);
    await member.until(() => member.questions === 1);
    skippedMs += 1_000;
    const told = progressOf(listener);
    await member.until(() => member.questions === 2);
    answerProgress(asked, 8);
    happen(asked, 0n, false, 9);
    await listener.until('confirmed', '9');
    expect([lost, told]).toEqual([[], [8]]);
  });

  test('an answer says nothing about a watcher that came or moved since the question', async () => {
    const listener = attach(5);
    const asked = await member.watch(0);
    confirm(asked, 0n, 4);
    await listener.until('confirmed');
    const late = new Listener(2);
    const told = progressOf(listener, late);
    const both: Listener[] = [listener];
    const since: number[] = [];
    hub.requestProgress(
      () => both,
      (at) => void since.push(at?.revision ?? 0),
    );
    hub.attach(late, RANGE);
    both.push(late);
    const behind = await member.watch(1);
    confirm(behind, 1n, 7);
    answerProgress(asked, 8);
    await late.until('confirmed');
    happen(behind, 1n, false, 3);
    await late.until('confirmed', '3');
    expect([told, since]).toEqual([[], []]);
    // The next question is about it too.
    const again = progressOf(listener, late);
    await member.until(() => member.questions === 2);
    answerProgress(behind, 9);
    happen(behind, 1n, false, 10);
    await late.until('confirmed', '3', '10');
    expect(again).toEqual([9]);
  });
});
