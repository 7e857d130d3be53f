import { describe, expect, test } from '@jest/globals';
import type { Clock, Timer } from '@keelson/base';
import { Entry, Message, MessageType, Snapshot } from '@keelson/raft';
import { RecordingHandler } from '../../test/peer/member.ts';
import { MemoryNetwork, type MemoryTransport } from './memory-transport.ts';

/** A clock that moves when told, and a queue of later turns. */
class ManualTime implements Clock {
  private time = 0;
  private readonly timers: { atMs: number; task: () => void }[] = [];
  private turns: (() => void)[] = [];
  readonly defer = (task: () => void): void => {
    this.turns.push(task);
  };
  nowMs(): number {
    return this.time;
  }
  monotonicMs(): number {
    return this.time;
  }
  setTimer(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.time + delayMs, task };
    this.timers.push(timer);
    return { cancel: () => void this.timers.splice(this.timers.indexOf(timer), 1) };
  }
  /** Runs all later turns. */
  turn(): void {
    while (this.turns.length > 0) for (const task of this.turns.splice(0)) task();
  }
  advance(byMs: number): void {
    this.time += byMs;
    for (const timer of this.timers.filter((t) => t.atMs <= this.time)) {
      this.timers.splice(this.timers.indexOf(timer), 1);
      timer.task();
    }
    this.turn();
  }
}

interface Member {
  readonly handler: RecordingHandler;
  readonly transport: MemoryTransport;
}

function cluster(options: { throughCodec?: boolean } = {}): {
  time: ManualTime;
  network: MemoryNetwork;
  a: Member;
  b: Member;
} {
  const time = new ManualTime();
  const network = new MemoryNetwork({ clock: time, defer: time.defer, ...options });
  const join = (id: bigint): Member => {
    const handler = new RecordingHandler();
    return { handler, transport: network.join(id, handler) };
  };
  const a = join(1n);
  const b = join(2n);
  a.transport.addPeer(2n, []);
  b.transport.addPeer(1n, []);
  a.transport.start();
  b.transport.start();
  return { time, network, a, b };
}

function heartbeat(index: number): Message {
  return new Message(MessageType.Heartbeat, { from: 1n, to: 2n, term: 1, index });
}

function indexes(member: Member): number[] {
  return member.handler.received.map((r) => r.message.index);
}

test('messages arrive on a later turn, in order, as they are', () => {
  const { time, a, b } = cluster();
  const messages = [heartbeat(1), heartbeat(2), heartbeat(3)];
  a.transport.send(messages);
  expect(b.handler.received).toEqual([]);
  time.turn();
  expect(indexes(b)).toEqual([1, 2, 3]);
  expect(b.handler.received[0]?.message).toBe(messages[0]);
  expect(b.handler.received[0]?.from).toBe(1n);
  expect(a.transport.counters(2n)?.sentMessages).toBe(3);
});

/** What a message says, wherever its bytes lie. */
function contentOf(message: Message): unknown {
  const { type, from, to, term, logTerm, index, commit, entries } = message;
  const contents = entries.map((entry) => [entry.term, entry.index, entry.type, entry.data.toString()]);
  return { type, from, to, term, logTerm, index, commit, contents };
}

test('through the codec they are equal but not the same', () => {
  const { time, a, b } = cluster({ throughCodec: true });
  const sent = new Message(MessageType.App, {
    from: 1n,
    to: 2n,
    term: 2,
    entries: [new Entry(2, 1, 0, Buffer.from('v'))],
  });
  a.transport.send([sent]);
  time.turn();
  const received = b.handler.received[0]?.message;
  expect(received).not.toBe(sent);
  expect(received && contentOf(received)).toEqual(contentOf(sent));
});

test('a cut link loses silently, in its direction only', () => {
  const { time, network, a, b } = cluster();
  network.cut(1n, 2n);
  a.transport.send([heartbeat(1)]);
  b.transport.send([new Message(MessageType.HeartbeatResp, { from: 2n, to: 1n, term: 1 })]);
  time.turn();
  expect([b.handler.received.length, a.handler.received.length]).toEqual([0, 1]);
  expect(a.handler.unreachable).toEqual([]);
  expect([a.transport.activeSince(2n), a.transport.connectedCount()]).toEqual([undefined, 0]);
  network.mend(1n, 2n);
  a.transport.send([heartbeat(2)]);
  time.turn();
  expect(indexes(b)).toEqual([2]);
  expect(a.transport.connectedCount()).toBe(1);
});

test('what is under way when a link is cut is lost', () => {
  const { time, a, b } = cluster();
  a.transport.send([heartbeat(1)]);
  a.transport.cut(2n);
  time.turn();
  a.transport.mend(2n);
  time.turn();
  expect(b.handler.received).toEqual([]);
});

test('a delayed link delivers after its delay, in order', () => {
  const { time, network, a, b } = cluster();
  network.delay(1n, 2n, 50);
  a.transport.send([heartbeat(1), heartbeat(2)]);
  time.advance(49);
  expect(indexes(b)).toEqual([]);
  time.advance(1);
  expect(indexes(b)).toEqual([1, 2]);
});

test('a member that is gone is noticed; one that came back is found', () => {
  const { time, network, a, b } = cluster();
  void b.transport.stop();
  a.transport.send([heartbeat(1)]);
  time.turn();
  expect(a.handler.unreachable).toEqual([2n]);
  const handler = new RecordingHandler();
  const again = network.join(2n, handler);
  again.addPeer(1n, []);
  again.start();
  a.transport.send([heartbeat(2)]);
  time.turn();
  expect(handler.received.map((r) => r.message.index)).toEqual([2]);
  expect(a.transport.activeSince(2n)).toBe(0);
});

test('a removed sender is not heard', () => {
  const { time, a, b } = cluster();
  b.handler.removed.add(1n);
  a.transport.send([heartbeat(1)]);
  time.turn();
  expect(b.handler.received).toEqual([]);
});

describe('snapshots', () => {
  const snap = new Message(MessageType.Snap, {
    from: 1n,
    to: 2n,
    snapshot: new Snapshot(9, 1, {
      voters: [1n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    }),
  });
  async function* body(): AsyncGenerator<Buffer, void> {
    yield Buffer.from('ab');
    yield Buffer.from('c');
  }
  const settled = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });

  test('saved, then stepped, then reported', async () => {
    const { time, a, b } = cluster();
    let saved = '';
    b.handler.onSnapshot = async (_message, chunks, bytes) => {
      expect(bytes).toBe(3);
      for await (const chunk of chunks) saved += chunk.toString();
      expect(b.handler.received).toEqual([]);
    };
    a.transport.sendSnapshot(snap, body(), 3);
    time.turn();
    await settled();
    expect(saved).toBe('abc');
    expect(b.handler.received[0]?.message).toBe(snap);
    expect(a.handler.snapshots).toEqual([{ id: 2n, ok: true }]);
  });

  test.each<[string, (c: ReturnType<typeof cluster>) => void]>([
    ['the receiver fails', ({ b }) => (b.handler.onSnapshot = () => Promise.reject(new Error('no space')))],
    ['the link is cut', ({ a }) => a.transport.cut(2n)],
    ['the receiver is gone', ({ b }) => void b.transport.stop()],
    ['the receiver is unknown', ({ a }) => a.transport.removePeer(2n)],
  ])('reported failed when %s', async (_name, breakIt) => {
    const all = cluster();
    breakIt(all);
    all.a.transport.sendSnapshot(snap, body(), 3);
    all.time.turn();
    await settled();
    expect(all.a.handler.snapshots).toEqual([{ id: 2n, ok: false }]);
    expect(all.b.handler.received).toEqual([]);
  });
});
