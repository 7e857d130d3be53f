/**
 * Brings watchers of one range together on as few watches upstream as their places allow. A watcher joins a broadcast
 * that has not passed its place; if none is near, it gets one of its own and is joined with another when both have come
 * to the same revision. Nobody misses an event or sees one twice: each watcher knows its own place.
 * (etcd: grpcproxy/watch_ranges.go, watch_broadcasts.go.)
 */
import { assert, keyFromBytes } from '@keelson/base';
import type { etcdserverpb } from '@keelson/proto';
import { Broadcast, type Receiver, type WatchedRange } from './broadcast.ts';
import type { Namespace } from './namespace.ts';
import { Trunk, type TrunkOwner } from './trunk.ts';
import type { Upstream } from './upstream.ts';

/** A member passes a question over while one of the stream's watches lags behind: then it is asked again. */
const QUESTION_MS = 1_000;

type Header = etcdserverpb.ResponseHeader | undefined;

/** To a member: how far one of its streams has come. */
interface Question {
  readonly askedMs: number;
  /** What the member knew of when it was asked, and so what the answer is about. */
  readonly about: ReadonlySet<Broadcast>;
  /** Told of the answer. */
  readonly tasks: ((header: Header, about: ReadonlySet<Broadcast>) => void)[];
}

export class WatchHub implements TrunkOwner {
  /** Responses that did not have to come once for each watcher. */
  coalescedEvents = 0;
  private readonly upstream: Upstream;
  private readonly namespace: Namespace;
  private readonly groups = new Map<string, Set<Broadcast>>();
  private readonly places = new Map<Receiver, Broadcast>();
  private readonly trunks = new Map<string, Trunk>();
  private readonly questions = new Map<Trunk, Question>();
  private closed = false;

  constructor(upstream: Upstream, namespace: Namespace) {
    this.upstream = upstream;
    this.namespace = namespace;
  }

  get watcherCount(): number {
    return this.places.size;
  }

  /** Watches upstream. */
  get broadcastCount(): number {
    let count = 0;
    for (const group of this.groups.values()) count += group.size;
    return count;
  }

  /** Streams upstream. */
  get trunkCount(): number {
    return this.trunks.size;
  }

  /** Watchers that cost no watch upstream. */
  get coalescedWatchers(): number {
    return this.places.size - this.broadcastCount;
  }

  /**
   * Feeds a watcher from its place on, until it is detached or cancelled. It is confirmed once, perhaps at once.
   * @param alone not with others' rights: a broadcast that ran in another's name was refused
   */
  attach(receiver: Receiver, range: WatchedRange, alone = false): void {
    if (this.closed) return;
    const id = `${keyFromBytes(range.key)}\0${range.key.length}\0${keyFromBytes(range.end)}`;
    const broadcast =
      this.nearest(id, receiver, alone) ?? this.begin(id, range, receiver.nextRevision, receiver.token);
    broadcast.receivers.add(receiver);
    this.places.set(receiver, broadcast);
    if (broadcast.standing) receiver.confirmed();
  }

  detach(receiver: Receiver): void {
    const broadcast = this.places.get(receiver);
    if (broadcast === undefined) return;
    this.places.delete(receiver);
    broadcast.receivers.delete(receiver);
    if (broadcast.receivers.size === 0) this.stop(broadcast);
  }

  /**
   * Asks the cluster how far it has come and tells so once everything before has been delivered to these watchers.
   * Nothing is told if that cannot be known, or if a watcher has come or moved meanwhile that the answer says nothing
   * about: who asked asks again.
   * @param receivers asked for now, and when the answer is there
   */
  requestProgress(receivers: () => Iterable<Receiver>, told: (header: Header) => void): void {
    const trunks = new Set<Trunk>();
    for (const receiver of receivers()) {
      const trunk = this.trunkOf(receiver);
      if (trunk === undefined || !trunk.standing) return;
      trunks.add(trunk);
    }
    const covered = new Set<Broadcast>();
    let waiting = trunks.size;
    let least: Header;
    for (const trunk of trunks) {
      this.ask(trunk, (header, about) => {
        for (const broadcast of about) covered.add(broadcast);
        if (least === undefined || (header?.revision ?? 0) < least.revision) least = header;
        if (--waiting > 0) return;
        for (const receiver of receivers()) {
          const broadcast = this.places.get(receiver);
          const at = this.trunkOf(receiver);
          if (broadcast === undefined || at === undefined) return;
          if (!covered.has(broadcast) && !(broadcast.synced && trunks.has(at))) return;
        }
        told(least);
      });
    }
  }

  /** Streams at this member go to another: it has lost its leader. */
  leave(endpoint: Trunk['endpoint']): void {
    for (const trunk of this.trunks.values()) {
      if (trunk.endpoint === endpoint) trunk.move();
    }
  }

  close(): void {
    this.closed = true;
    for (const trunk of this.trunks.values()) trunk.close();
    this.groups.clear();
    this.places.clear();
    this.trunks.clear();
    this.questions.clear();
  }

  confirmed(broadcast: Broadcast, revision: number): void {
    broadcast.confirmed(revision);
    this.merge(broadcast);
  }

  received(broadcast: Broadcast, response: etcdserverpb.WatchResponse): void {
    const batch = broadcast.received(response);
    if (batch !== undefined) this.coalescedEvents += Math.max(0, broadcast.receivers.size - 1);
    if (!broadcast.stopped) this.merge(broadcast);
  }

  refused(broadcast: Broadcast, response: etcdserverpb.WatchResponse): void {
    this.leaveGroup(broadcast);
    for (const receiver of [...broadcast.receivers]) {
      broadcast.receivers.delete(receiver);
      this.places.delete(receiver);
      const compacted = response.compactRevision > 0;
      const concerned = compacted
        ? receiver.nextRevision < response.compactRevision
        : receiver.token === broadcast.token;
      if (concerned) receiver.cancelled(response);
      else this.attach(receiver, broadcast.watched, !compacted);
    }
    this.dropTrunk(broadcast.token);
  }

  broke(trunk: Trunk): void {
    this.questions.delete(trunk);
  }

  progressed(trunk: Trunk, header: Header): void {
    const question = this.questions.get(trunk);
    this.questions.delete(trunk);
    if (question !== undefined) for (const task of question.tasks) task(header, question.about);
  }

  /** One question answers all who ask while it is young. */
  private ask(trunk: Trunk, task: Question['tasks'][number]): void {
    const nowMs = this.upstream.clock.monotonicMs();
    const known = this.questions.get(trunk);
    if (known !== undefined && nowMs - known.askedMs < QUESTION_MS) {
      known.tasks.push(task);
      return;
    }
    const about = [...trunk.broadcasts].filter(({ upstreamId }) => upstreamId !== undefined);
    this.questions.set(trunk, { askedMs: nowMs, about: new Set(about), tasks: [task] });
    trunk.requestProgress();
  }

  /** The one closest behind its place that delivers as things happen, or that starts where it does. */
  private nearest(id: string, receiver: Receiver, alone: boolean): Broadcast | undefined {
    let best: Broadcast | undefined;
    for (const broadcast of this.groups.get(id) ?? []) {
      if (alone && broadcast.token !== receiver.token) continue;
      if (broadcast.nextRevision > receiver.nextRevision) continue;
      if (!broadcast.synced && broadcast.nextRevision !== receiver.nextRevision) continue;
      if (best === undefined || broadcast.nextRevision > best.nextRevision) best = broadcast;
    }
    return best;
  }

  private begin(id: string, watched: WatchedRange, startRevision: number, token: string): Broadcast {
    const { namespace } = this;
    const range = namespace.whole
      ? watched
      : { key: namespace.key(watched.key), end: namespace.rangeEnd(watched.end) };
    const broadcast = new Broadcast(id, watched, range, startRevision, token);
    const group = this.groups.get(id);
    if (group === undefined) this.groups.set(id, new Set([broadcast]));
    else group.add(broadcast);
    this.trunk(token).add(broadcast);
    return broadcast;
  }

  private trunk(token: string): Trunk {
    const known = this.trunks.get(token);
    if (known !== undefined) return known;
    const trunk = new Trunk(this.upstream, this.namespace, token, this);
    this.trunks.set(token, trunk);
    return trunk;
  }

  private trunkOf(receiver: Receiver): Trunk | undefined {
    const broadcast = this.places.get(receiver);
    return broadcast === undefined ? undefined : this.trunks.get(broadcast.token);
  }

  /** Joins broadcasts of one range that have come to the same place: the fewer move to the more. */
  private merge(broadcast: Broadcast): void {
    const group = this.groups.get(broadcast.group);
    if (group === undefined || group.size < 2 || !broadcast.standing) return;
    for (const other of group) {
      if (other === broadcast || !other.standing || other.upstreamId === undefined) continue;
      if (other.place !== broadcast.place) continue;
      const [from, to] =
        broadcast.receivers.size <= other.receivers.size ? [broadcast, other] : [other, broadcast];
      for (const receiver of from.receivers) {
        to.receivers.add(receiver);
        this.places.set(receiver, to);
      }
      from.receivers.clear();
      this.stop(from);
      return;
    }
  }

  private stop(broadcast: Broadcast): void {
    assert(broadcast.receivers.size === 0, 'a broadcast is stopped that somebody listens to');
    this.leaveGroup(broadcast);
    this.trunks.get(broadcast.token)?.remove(broadcast);
    this.dropTrunk(broadcast.token);
  }

  private leaveGroup(broadcast: Broadcast): void {
    const group = this.groups.get(broadcast.group);
    if (group?.delete(broadcast) === true && group.size === 0) this.groups.delete(broadcast.group);
  }

  private dropTrunk(token: string): void {
    const trunk = this.trunks.get(token);
    if (trunk === undefined || trunk.broadcasts.size > 0) return;
    this.trunks.delete(token);
    this.questions.delete(trunk);
    trunk.close();
  }
}
