/**
 * One member's gRPC API over one connection, with nothing between: no retry, no failover, no hidden timeout.
 * An error is the server's own, or the transport's; what a load test counts is exactly what happened.
 */
import { etcdserverpb, services } from '@keelson/proto';
import {
  grpcJsChannel,
  Metadata,
  nativeChannel,
  RpcError,
  type CallOptions,
  type Channel,
  type DialTls,
  type MethodDescriptor,
} from '@keelson/rpc';

export interface ReadOptions {
  readonly serializable?: boolean;
  readonly timeoutMs?: number;
}

/** Authentication was switched on, or off, since the token was got. */
const TOKEN_REFUSED: ReadonlySet<string> = new Set([
  'etcdserver: invalid auth token',
  'etcdserver: user name is empty',
]);

export class MemberApi {
  readonly address: string;
  readonly channel: Channel;
  /** In whose name calls without metadata of their own are made, wherever authentication is on. */
  login: { readonly name: string; readonly password: string } | undefined;
  private token: string | undefined;

  /** @param tls undefined: without */
  constructor(address: string, tls?: DialTls) {
    this.address = address;
    // Short pauses between dials: how fast a member is back is what the tests measure.
    const pauses = { minBackoffMs: 20, maxBackoffMs: 100 };
    this.channel =
      tls === undefined ? grpcJsChannel(address, pauses) : nativeChannel(address, { ...pauses, tls });
  }

  async call<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> {
    if (this.login === undefined || options.metadata !== undefined)
      return this.channel.unary(method, request, options);
    const login = this.login;
    const loggedIn = async (): Promise<Res> => {
      this.token ??= await this.authenticate(login);
      const metadata = Metadata.of(this.token === undefined ? {} : { token: this.token });
      return this.channel.unary(method, request, { ...options, metadata });
    };
    try {
      return await loggedIn();
    } catch (error) {
      if (!(error instanceof RpcError) || !TOKEN_REFUSED.has(error.message)) throw error;
      this.token = undefined;
      return loggedIn();
    }
  }

  /** Undefined while authentication is off. */
  private async authenticate(login: NonNullable<MemberApi['login']>): Promise<string | undefined> {
    try {
      const request = new etcdserverpb.AuthenticateRequest(login);
      return (await this.channel.unary(services.Auth.methods.authenticate, request)).token;
    } catch (error) {
      if (error instanceof RpcError && error.message === 'etcdserver: authentication is not enabled')
        return undefined;
      throw error;
    }
  }

  put(key: string, value: string | Buffer, timeoutMs = 5000): Promise<etcdserverpb.PutResponse> {
    const request = new etcdserverpb.PutRequest({
      key: Buffer.from(key, 'latin1'),
      value: typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
    });
    return this.call(services.KV.methods.put, request, { timeoutMs });
  }

  range(request: Partial<etcdserverpb.RangeRequest>, timeoutMs = 5000): Promise<etcdserverpb.RangeResponse> {
    return this.call(services.KV.methods.range, new etcdserverpb.RangeRequest(request), { timeoutMs });
  }

  /** Every key that starts with `prefix`, in pages, all at one revision. */
  async all(prefix: string, revision = 0): Promise<{ kvs: Map<string, Pair>; revision: number }> {
    const kvs = new Map<string, Pair>();
    let at = revision;
    let key = Buffer.from(prefix, 'latin1');
    const rangeEnd = Buffer.from(key);
    rangeEnd[rangeEnd.length - 1]++;
    for (;;) {
      const page = await this.range({ key, rangeEnd, limit: 5000, revision: at }, 30_000);
      at ||= page.header?.revision ?? 0;
      for (const kv of page.kvs) {
        kvs.set(kv.key.toString('latin1'), {
          value: kv.value.toString('latin1'),
          createRevision: kv.createRevision,
          modRevision: kv.modRevision,
          version: kv.version,
        });
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { kvs, revision: at };
      key = Buffer.concat([last.key, Buffer.alloc(1)]);
    }
  }

  /** The store's revision as this member knows it, or (linearizable) as it is. */
  async revision(options: ReadOptions = {}): Promise<number> {
    const request = {
      key: Buffer.from('\0'),
      countOnly: true,
      serializable: options.serializable ?? false,
    };
    const { header } = await this.range(request, options.timeoutMs ?? 5000);
    if (header === undefined) throw new Error(`${this.address}: a range response without header`);
    return header.revision;
  }

  status(timeoutMs = 2000): Promise<etcdserverpb.StatusResponse> {
    return this.call(services.Maintenance.methods.status, new etcdserverpb.StatusRequest(), { timeoutMs });
  }

  hashKV(revision: number, timeoutMs = 10_000): Promise<etcdserverpb.HashKVResponse> {
    const request = new etcdserverpb.HashKVRequest({ revision });
    return this.call(services.Maintenance.methods.hashKV, request, { timeoutMs });
  }

  close(): void {
    this.channel.close();
  }
}

/** A key's state without its key. */
export interface Pair {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}
