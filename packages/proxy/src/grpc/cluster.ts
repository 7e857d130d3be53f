/**
 * The members a client is told of: the proxies, not the cluster behind them, so that nobody goes past. Those that
 * registered under the resolver's prefix, else this one; without an address to advertise, the cluster's own list.
 * (etcd: grpcproxy/cluster.go.)
 */
import { keyFromBytes, prefixEnd, keyToBytes, toError, type Logger } from '@keelson/base';
import { etcdserverpb, services, type mvccpb } from '@keelson/proto';
import type { MethodTable } from '@keelson/rpc';
import type { Receiver } from './broadcast.ts';
import type { Namespace } from './namespace.ts';
import { raw } from './raw.ts';
import type { Upstream } from './upstream.ts';
import type { WatchBatch } from './watch-batch.ts';
import type { WatchHub } from './watch-hub.ts';

const MEMBER_LIST = raw(services.Cluster.methods.memberList);
const RANGE = raw(services.KV.methods.range);
const DELETE = 1;
const AGAIN_MS = 1_000;

export interface ClusterParts {
  readonly upstream: Upstream;
  readonly hub: WatchHub;
  readonly namespace: Namespace;
  readonly logger: Logger;
  /** '' forwards the cluster's own list. */
  readonly advertised: string;
  /** '' knows this proxy alone. */
  readonly prefix: string;
  readonly hostname: string;
}

export function registerMemberList(
  table: MethodTable,
  parts: ClusterParts,
  proxies: ProxyList | undefined,
): void {
  const { upstream, advertised, hostname } = parts;
  table.unary(MEMBER_LIST, (request, call) => {
    if (advertised === '') return upstream.forward(MEMBER_LIST, request, 'read', call);
    const known = proxies?.members() ?? [];
    const members =
      known.length > 0 ? known : [new etcdserverpb.Member({ name: hostname, clientURLs: [advertised] })];
    return etcdserverpb.encodeMemberListResponse(new etcdserverpb.MemberListResponse({ members }));
  });
}

/** The proxies under a prefix, kept up to date by a watch. */
export class ProxyList implements Receiver {
  readonly token = '';
  nextRevision = 0;
  private readonly parts: ClusterParts;
  private readonly range: { readonly key: Buffer; readonly end: Buffer };
  private readonly byKey = new Map<string, etcdserverpb.Member>();
  private stopped = false;

  constructor(parts: ClusterParts) {
    this.parts = parts;
    this.range = {
      key: Buffer.from(parts.prefix),
      end: keyToBytes(prefixEnd(keyFromBytes(Buffer.from(parts.prefix)))),
    };
  }

  /** In order of their keys. */
  members(): etcdserverpb.Member[] {
    return [...this.byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, member]) => member);
  }

  start(): void {
    void this.list();
  }

  stop(): void {
    this.stopped = true;
    this.parts.hub.detach(this);
  }

  confirmed(): void {}
  progress(): void {}

  events(batch: WatchBatch): void {
    for (const { type, kv } of batch.events) {
      if (kv === undefined || kv.modRevision < this.nextRevision) continue;
      if (type === DELETE) this.byKey.delete(keyFromBytes(kv.key));
      else this.add(kv);
    }
    this.nextRevision = batch.last + 1;
  }

  cancelled({ cancelReason }: etcdserverpb.WatchResponse): void {
    this.parts.logger.warn('watch failed', { target: this.parts.prefix, error: cancelReason });
    void this.again();
  }

  private async list(): Promise<void> {
    const { upstream, namespace, hub, logger, prefix } = this.parts;
    try {
      const request = new etcdserverpb.RangeRequest({
        key: this.range.key,
        rangeEnd: this.range.end,
        serializable: true,
      });
      if (!namespace.whole) namespace.addToRange(request);
      const answer = await upstream.ask(RANGE, etcdserverpb.encodeRangeRequest(request), 'read');
      if (this.stopped) return;
      const { header, kvs } = etcdserverpb.decodeRangeResponse(answer);
      if (!namespace.whole) namespace.stripKvs(kvs);
      this.byKey.clear();
      for (const kv of kvs) this.add(kv);
      this.nextRevision = (header?.revision ?? 0) + 1;
      hub.attach(this, this.range);
    } catch (error) {
      if (this.stopped) return;
      logger.warn('failed to establish endpoint watch', { prefix, error: toError(error).message });
      await this.again();
    }
  }

  private async again(): Promise<void> {
    await this.parts.upstream.wait(AGAIN_MS);
    if (!this.stopped) void this.list();
  }

  private add({ key, value }: mvccpb.KeyValue): void {
    const found = proxyOf(value);
    if (found === undefined) {
      this.parts.logger.warn('unmarshal endpoint update failed', { key: key.toString() });
      return;
    }
    const member = new etcdserverpb.Member({ name: found.name, clientURLs: [found.address] });
    this.byKey.set(keyFromBytes(key), member);
  }
}

/** What registration.ts, or etcd's, put there. */
function proxyOf(value: Buffer): { readonly address: string; readonly name: string } | undefined {
  try {
    const update: unknown = JSON.parse(value.toString());
    const address = textIn(update, 'Addr');
    const metadata = textIn(update, 'Metadata');
    if (address === undefined) return undefined;
    const name = metadata === undefined ? undefined : textIn(JSON.parse(metadata), 'name');
    return { address, name: name ?? '' };
  } catch {
    return undefined;
  }
}

function textIn(value: unknown, field: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const found: unknown = Reflect.get(value, field);
  return typeof found === 'string' ? found : undefined;
}
