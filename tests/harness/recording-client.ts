/**
 * A client whose every request goes into a history with what became of it. Each request is sent once, to the member that
 * was named: nothing is tried again, and no answer is waited for longer than its limit. Where authentication is on it gets
 * itself a token first, and another when the member refuses that one; the request it was refused for is lost.
 */
import { etcdserverpb as pb, services } from '@keelson/proto';
import { Metadata, nativeChannel, RpcError, statusName, StatusCode, type Channel } from '@keelson/rpc';
import type { HistoryRecorder, PendingOperation, Request, Response } from '@keelson/sim';
import {
  keepAliveRequest,
  keepAliveResponse,
  wireCall,
  type Names,
} from '../../packages/store/test/wire/calls.ts';

export interface RecordingClientOptions {
  readonly recorder: HistoryRecorder;
  /** The recorder's number of it. */
  readonly client: number;
  readonly names: Names;
  /** "host:port" of a member. */
  readonly addressOf: (member: string) => string;
  readonly timeoutMs: number;
  /** As whom; undefined: without a name. */
  readonly user?: string;
}

/** Refusals of a token rather than of what was asked. */
const TOKEN_REFUSED: ReadonlySet<string> = new Set([
  'etcdserver: invalid auth token',
  'etcdserver: revision of auth store is old',
  'etcdserver: user name is empty',
]);

export class RecordingClient {
  readonly client: number;
  private readonly options: RecordingClientOptions;
  private readonly channels = new Map<string, Channel>();
  /** By member: a token counts where it was given. */
  private readonly tokens = new Map<string, string>();
  private authenticates = false;

  constructor(options: RecordingClientOptions) {
    this.options = options;
    this.client = options.client;
  }

  get user(): string | undefined {
    return this.authenticates ? this.options.user : undefined;
  }

  /** Authentication is on, or off, from now on, as far as this client knows. */
  authenticate(on: boolean): void {
    this.authenticates = on;
    this.tokens.clear();
  }

  channel(member: string): Channel {
    let channel = this.channels.get(member);
    if (channel === undefined) {
      channel = nativeChannel(this.options.addressOf(member), { minBackoffMs: 20, maxBackoffMs: 200 });
      this.channels.set(member, channel);
    }
    return channel;
  }

  /** Metadata with a token; undefined: needs none, or got none. */
  async credentials(member: string): Promise<Metadata | undefined> {
    const user = this.user;
    if (user === undefined) return undefined;
    let token = this.tokens.get(member);
    if (token === undefined) {
      const request = new pb.AuthenticateRequest({
        name: user,
        password: this.options.names.passwordOf(user),
      });
      try {
        const limit = { timeoutMs: this.options.timeoutMs };
        token = (await this.channel(member).unary(services.Auth.methods.authenticate, request, limit)).token;
        this.tokens.set(member, token);
      } catch {
        return undefined; // What is asked without a token is refused, and that goes into the history.
      }
    }
    return Metadata.of({ token });
  }

  /** @returns undefined when there was no answer but an error */
  async ask(
    member: string,
    request: Request,
    timeoutMs = this.options.timeoutMs,
  ): Promise<Response | undefined> {
    const metadata = await this.credentials(member);
    const pending = this.call(member, request);
    const options = { timeoutMs, ...(metadata === undefined ? {} : { metadata }) };
    try {
      const response =
        request.kind === 'leaseKeepAlive'
          ? await this.keepAlive(member, request.id, options)
          : await this.unary(member, request, options);
      pending.ok(response);
      return response;
    } catch (error) {
      this.file(pending, error, member);
      return undefined;
    }
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
  }

  private call(member: string, request: Request): PendingOperation {
    const { user } = this;
    const asker = { client: this.client, member, ...(user === undefined ? {} : { user }) };
    return this.options.recorder.call(asker, request);
  }

  private async unary(
    member: string,
    request: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    const { method, message, read } = wireCall(request, this.options.names);
    return read(await this.channel(member).unary(method, message, options));
  }

  /** One message of a stream of its own. */
  private async keepAlive(
    member: string,
    id: string,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    const stream = this.channel(member).bidi(services.Lease.methods.leaseKeepAlive, options);
    stream.write(keepAliveRequest(id));
    try {
      for await (const message of stream) return keepAliveResponse(message);
    } finally {
      stream.cancel();
    }
    throw new RpcError(StatusCode.Unknown, 'the stream ended without an answer');
  }

  private file(pending: PendingOperation, error: unknown, member: string): void {
    if (!(error instanceof RpcError)) throw error;
    if (TOKEN_REFUSED.has(error.message)) this.tokens.delete(member);
    // The answer to whoever switched authentication on may have been lost.
    if (error.message === 'etcdserver: user name is empty') this.authenticates = true;
    pending.failed(statusName(error.code), error.message, error.unsent);
  }
}
