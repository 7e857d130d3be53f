/**
 * This proxy in the list of proxies (--resolver-prefix): a key under the prefix, on a lease that is kept alive. When the
 * lease is lost another is granted and the key put anew, once a second at most. Stopping revokes it. Key and value are
 * those of etcd's naming. (etcd: grpcproxy/register.go, client/v3/naming/endpoints.)
 */
import type { Logger, Timer } from '@keelson/base';
import { toError } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { Line } from './line.ts';
import type { Namespace } from './namespace.ts';
import { raw } from './raw.ts';
import type { Upstream } from './upstream.ts';

const { Lease, KV } = services;
const GRANT = raw(Lease.methods.leaseGrant);
const REVOKE = raw(Lease.methods.leaseRevoke);
const KEEP_ALIVE = raw(Lease.methods.leaseKeepAlive);
const PUT = raw(KV.methods.put);

const AGAIN_MS = 1_000;
const ASK_MS = 5_000;

export interface RegistrationOptions {
  readonly upstream: Upstream;
  readonly namespace: Namespace;
  readonly logger: Logger;
  readonly prefix: string;
  readonly address: string;
  readonly ttlSeconds: number;
  readonly hostname: string;
}

export class Registration {
  private readonly options: RegistrationOptions;
  private readonly line: Line;
  private lease: bigint | undefined = undefined;
  private timer: Timer | undefined = undefined;
  private keptMs = 0;
  private stopped = false;

  constructor(options: RegistrationOptions) {
    this.options = options;
    this.line = new Line(options.upstream, KEEP_ALIVE, undefined, {
      opened: () => this.keepAlive(),
      received: (message) => {
        this.line.proved();
        this.kept(etcdserverpb.decodeLeaseKeepAliveResponse(message));
      },
      lost: () => this.lease !== undefined,
    });
  }

  start(): void {
    void this.register();
  }

  /** Takes the key back; the lease would let it go in time if the cluster does not answer. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    const { lease } = this;
    this.lease = undefined;
    this.line.close();
    if (lease !== undefined) await this.revoke(lease);
  }

  private async register(): Promise<void> {
    const { logger, address, ttlSeconds } = this.options;
    try {
      const lease = await this.grant();
      if (this.stopped) {
        await this.revoke(lease);
        return;
      }
      // From here on stopping revokes it, whatever becomes of the key.
      this.lease = lease;
      await this.put(lease);
      if (this.stopped) return;
      logger.info('registered session with lease', { addr: address, 'lease-ttl': ttlSeconds });
      this.keptMs = this.options.upstream.clock.monotonicMs();
      this.line.want();
      this.beat();
    } catch (error) {
      this.lease = undefined;
      if (this.stopped) return;
      logger.warn('failed to create a session', { error: toError(error).message });
      this.again();
    }
  }

  private again(): void {
    if (this.stopped) return;
    this.timer = this.options.upstream.clock.setTimer(AGAIN_MS, () => void this.register());
  }

  /** Every third of the time to live, as etcd's client. */
  private beat(): void {
    const { clock } = this.options.upstream;
    const ttlMs = this.options.ttlSeconds * 1_000;
    this.timer = clock.setTimer(ttlMs / 3, () => {
      if (clock.monotonicMs() - this.keptMs > ttlMs) {
        this.expired();
        return;
      }
      if (this.line.standing) this.keepAlive();
      else this.line.want();
      this.beat();
    });
  }

  private keepAlive(): void {
    if (this.lease === undefined) return;
    const request = new etcdserverpb.LeaseKeepAliveRequest({ ID: this.lease });
    this.line.write(etcdserverpb.encodeLeaseKeepAliveRequest(request));
  }

  private kept({ ID, TTL }: etcdserverpb.LeaseKeepAliveResponse): void {
    if (ID !== this.lease) return;
    if (TTL > 0) this.keptMs = this.options.upstream.clock.monotonicMs();
    else this.expired();
  }

  private expired(): void {
    this.timer?.cancel();
    this.lease = undefined;
    this.line.release();
    this.options.logger.warn('session expired; possible network partition or server restart');
    this.options.logger.warn('creating a new session to rejoin');
    this.again();
  }

  private async grant(): Promise<bigint> {
    const request = new etcdserverpb.LeaseGrantRequest({ TTL: this.options.ttlSeconds });
    const bytes = etcdserverpb.encodeLeaseGrantRequest(request);
    const answer = await this.options.upstream.ask(GRANT, bytes, 'write', { timeoutMs: ASK_MS });
    return etcdserverpb.decodeLeaseGrantResponse(answer).ID;
  }

  /** Without it the key goes when the lease's time is over. */
  private async revoke(lease: bigint): Promise<void> {
    const request = etcdserverpb.encodeLeaseRevokeRequest(new etcdserverpb.LeaseRevokeRequest({ ID: lease }));
    await this.options.upstream.ask(REVOKE, request, 'write', { timeoutMs: AGAIN_MS }).catch(() => {});
  }

  private async put(lease: bigint): Promise<void> {
    const { upstream, namespace, prefix, address, hostname } = this.options;
    const request = new etcdserverpb.PutRequest({
      key: namespace.key(Buffer.from(`${prefix}/${address}`)),
      value: Buffer.from(
        JSON.stringify({ Op: 0, Addr: address, Metadata: JSON.stringify({ name: hostname }) }),
      ),
      lease,
    });
    await upstream.ask(PUT, etcdserverpb.encodePutRequest(request), 'write', { timeoutMs: ASK_MS });
  }
}
