/**
 * One watch stream to the cluster in one caller's name, with any number of broadcasts on it. When it breaks it is opened
 * at another member and every broadcast goes on where it stopped. Creations are answered in order, which is how a
 * broadcast learns its id. (etcd: clientv3's watchGrpcStream.)
 */
import { Ring } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { StatusCode, type RpcError } from '@keelson/rpc';
import type { Broadcast } from './broadcast.ts';
import { Line } from './line.ts';
import type { Namespace } from './namespace.ts';
import { raw, tokenMetadata } from './raw.ts';
import type { Upstream } from './upstream.ts';

const WATCH = raw(services.Watch.methods.watch);

export interface TrunkOwner {
  /** Events or progress; the broadcast has taken note of its answer already. */
  received(broadcast: Broadcast, response: etcdserverpb.WatchResponse): void;
  /** Upstream began it, for the first time or again. */
  confirmed(broadcast: Broadcast, revision: number): void;
  /** Upstream ended it, or refused to begin it. It is off the trunk. */
  refused(broadcast: Broadcast, response: etcdserverpb.WatchResponse): void;
  /** Its stream is gone; what was asked on it is not answered. */
  broke(trunk: Trunk): void;
  /** How far every broadcast of the trunk has come, as was asked. */
  progressed(trunk: Trunk, header: etcdserverpb.ResponseHeader | undefined): void;
}

export class Trunk {
  readonly token: string;
  readonly broadcasts = new Set<Broadcast>();
  private readonly line: Line;
  private readonly owner: TrunkOwner;
  private readonly namespace: Namespace;
  private readonly byId = new Map<bigint, Broadcast>();
  /** Creations that are not answered. */
  private readonly asked = new Ring<Broadcast>();

  constructor(upstream: Upstream, namespace: Namespace, token: string, owner: TrunkOwner) {
    this.token = token;
    this.owner = owner;
    this.namespace = namespace;
    this.line = new Line(upstream, WATCH, tokenMetadata(token), {
      opened: () => this.opened(),
      received: (message) => this.received(etcdserverpb.decodeWatchResponse(message)),
      lost: (error) => this.lost(error),
    });
  }

  /** The member it runs at. */
  get endpoint(): Line['endpoint'] {
    return this.line.endpoint;
  }

  get standing(): boolean {
    return this.line.standing;
  }

  add(broadcast: Broadcast): void {
    this.broadcasts.add(broadcast);
    if (this.line.standing) this.create(broadcast);
    else this.line.want();
  }

  remove(broadcast: Broadcast): void {
    if (!this.broadcasts.delete(broadcast)) return;
    broadcast.stopped = true;
    if (broadcast.upstreamId !== undefined) this.cancel(broadcast.upstreamId);
    // Nobody left: the stream goes too, and with it what is not answered yet.
    if (this.broadcasts.size === 0) this.release();
  }

  requestProgress(): void {
    if (!this.line.standing) return;
    this.send({ progressRequest: new etcdserverpb.WatchProgressRequest() });
  }

  /** Away from a member that is of no use. */
  move(): void {
    this.forgetIds();
    this.line.move();
  }

  close(): void {
    this.line.close();
  }

  private release(): void {
    this.forgetIds();
    this.line.release();
  }

  private opened(): void {
    this.forgetIds();
    for (const broadcast of this.broadcasts) {
      broadcast.restarted();
      this.create(broadcast);
    }
  }

  private forgetIds(): void {
    this.owner.broke(this);
    this.byId.clear();
    this.asked.clear();
  }

  private create(broadcast: Broadcast): void {
    this.asked.push(broadcast);
    this.send({ createRequest: broadcast.createRequest });
  }

  private cancel(watchId: bigint): void {
    this.byId.delete(watchId);
    this.send({ cancelRequest: new etcdserverpb.WatchCancelRequest({ watchId }) });
  }

  private send(union: Partial<etcdserverpb.WatchRequest>): void {
    this.line.write(etcdserverpb.encodeWatchRequest(new etcdserverpb.WatchRequest(union)));
  }

  private received(response: etcdserverpb.WatchResponse): void {
    this.line.proved();
    if (response.created) {
      this.answered(response);
      return;
    }
    if (response.watchId === -1n && !response.canceled) {
      this.owner.progressed(this, response.header);
      return;
    }
    const broadcast = this.byId.get(response.watchId);
    // Cancelled by us, and still on its way.
    if (broadcast === undefined) return;
    if (response.canceled) {
      this.byId.delete(response.watchId);
      this.drop(broadcast, response);
      return;
    }
    if (!this.namespace.whole) this.namespace.stripEvents(response.events);
    this.owner.received(broadcast, response);
  }

  private answered(response: etcdserverpb.WatchResponse): void {
    const broadcast = this.asked.shift();
    if (broadcast === undefined) return;
    if (response.canceled) {
      if (!broadcast.stopped) this.drop(broadcast, response);
      return;
    }
    if (broadcast.stopped) {
      this.cancel(response.watchId);
      return;
    }
    broadcast.upstreamId = response.watchId;
    this.byId.set(response.watchId, broadcast);
    this.owner.confirmed(broadcast, response.header?.revision ?? 0);
  }

  private drop(broadcast: Broadcast, response: etcdserverpb.WatchResponse): void {
    this.broadcasts.delete(broadcast);
    broadcast.stopped = true;
    this.owner.refused(broadcast, response);
    if (this.broadcasts.size === 0) this.release();
  }

  /** A caller that is not who it says cannot watch anywhere; everything else is tried at the next member. */
  private lost(error: RpcError): boolean {
    this.forgetIds();
    if (this.broadcasts.size === 0) return false;
    if (error.code !== StatusCode.Unauthenticated && error.code !== StatusCode.PermissionDenied) return true;
    const cancelReason = reasonText(error);
    for (const broadcast of [...this.broadcasts])
      this.drop(broadcast, new etcdserverpb.WatchResponse({ canceled: true, cancelReason }));
    return this.broadcasts.size > 0;
  }
}

const CODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(StatusCode).map(([name, code]) => [code, name]),
);

/** As Go prints a status where only a text can travel. */
export function reasonText({ code, message }: RpcError): string {
  const name = code === StatusCode.Cancelled ? 'Canceled' : (CODE_NAMES.get(code) ?? 'Unknown');
  return `rpc error: code = ${name} desc = ${message}`;
}
