/**
 * Whether the member we talk to has a leader, for clients who would rather hear that it has none. A watch that demands a
 * leader stands at the cluster; when the cluster ends it for want of one, whoever asked is told, and streams leave that
 * member. Until the first answer nobody is told anything. (etcd: grpcproxy/leader.go.)
 */
import { COUNT_MAX } from '@keelson/base';
import type { Endpoint } from '@keelson/client';
import { etcdserverpb, services } from '@keelson/proto';
import { Metadata, type RpcError } from '@keelson/rpc';
import { Line } from './line.ts';
import { raw } from './raw.ts';
import type { Upstream } from './upstream.ts';

/** The original's key, watched from a revision no store will reach: nothing ever comes. */
const KEY = '__lostleader';
const NO_LEADER = 'etcdserver: no leader';

export class Leader {
  private readonly line: Line;
  private readonly tasks = new Set<() => void>();
  private readonly left: (endpoint: Endpoint) => void;
  private at: Endpoint | undefined = undefined;
  private known = true;

  /** @param left this member has no leader: streams had better go elsewhere */
  constructor(upstream: Upstream, left: (endpoint: Endpoint) => void) {
    this.left = left;
    this.line = new Line(upstream, raw(services.Watch.methods.watch), Metadata.of({ hasleader: 'true' }), {
      opened: () => this.ask(),
      received: (message) => {
        if (!etcdserverpb.decodeWatchResponse(message).created) return;
        this.line.proved();
        this.known = true;
      },
      lost: (error) => this.ended(error),
    });
  }

  /** There was none when last heard of. */
  get lost(): boolean {
    return !this.known;
  }

  start(): void {
    this.line.want();
  }

  /** @returns a function that ends the subscription */
  onLost(task: () => void): () => void {
    this.tasks.add(task);
    return () => this.tasks.delete(task);
  }

  close(): void {
    this.line.close();
    this.tasks.clear();
  }

  private ask(): void {
    this.at = this.line.endpoint;
    const createRequest = new etcdserverpb.WatchCreateRequest({
      key: Buffer.from(KEY),
      startRevision: COUNT_MAX,
    });
    this.line.write(etcdserverpb.encodeWatchRequest(new etcdserverpb.WatchRequest({ createRequest })));
  }

  private ended(error: RpcError): boolean {
    if (error.message !== NO_LEADER) return true;
    this.known = false;
    if (this.at !== undefined) this.left(this.at);
    for (const task of [...this.tasks]) task();
    return true;
  }
}
