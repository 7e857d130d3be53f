/**
 * A stream to the cluster that is there for as long as it is wanted: opened at a member, opened anew at another when it
 * breaks. What was asked on it is asked again by its owner, who is told of each opening; it repeats nothing by itself.
 */
import type { Endpoint } from '@keelson/client';
import { RpcError, StatusCode, toRpcError, type ClientStream, type Metadata } from '@keelson/rpc';
import type { RawMethod } from './raw.ts';
import type { Upstream } from './upstream.ts';

export interface LineOwner {
  /** It stands, for the first time or again: ask for everything. */
  opened(): void;
  received(message: Buffer): void;
  /** It broke, or could not be opened. @returns whether to go on trying */
  lost(error: RpcError): boolean;
}

/** Says nothing against the member: everybody else is served there as before. */
const CALLERS_FAULT: ReadonlySet<StatusCode> = new Set([
  StatusCode.InvalidArgument,
  StatusCode.NotFound,
  StatusCode.PermissionDenied,
  StatusCode.FailedPrecondition,
  StatusCode.Unauthenticated,
]);

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly stream: ClientStream<Buffer, Buffer>; readonly endpoint: Endpoint }
  | { readonly kind: 'closed' };

export class Line {
  private readonly upstream: Upstream;
  private readonly method: RawMethod;
  private readonly metadata: Metadata | undefined;
  private readonly owner: LineOwner;
  private state: State = { kind: 'idle' };
  private attempt = 0;

  constructor(upstream: Upstream, method: RawMethod, metadata: Metadata | undefined, owner: LineOwner) {
    this.upstream = upstream;
    this.method = method;
    this.metadata = metadata;
    this.owner = owner;
  }

  get standing(): boolean {
    return this.state.kind === 'open';
  }

  /** The member it stands at. */
  get endpoint(): Endpoint | undefined {
    return this.state.kind === 'open' ? this.state.endpoint : undefined;
  }

  /** Opens it if it is not open or on its way. */
  want(): void {
    if (this.state.kind === 'idle') void this.open();
  }

  /** Sends if it stands; otherwise `opened` will say when to ask. */
  write(message: Buffer): void {
    if (this.state.kind === 'open') this.state.stream.writeEncoded(message);
  }

  /** The line has proved itself: the next loss is tried again without a pause. */
  proved(): void {
    if (this.state.kind !== 'open') return;
    this.attempt = 0;
    this.upstream.succeeded(this.state.endpoint);
  }

  /** Leaves this member for another. */
  move(): void {
    if (this.state.kind !== 'open') return;
    const { stream, endpoint } = this.state;
    this.state = { kind: 'idle' };
    this.upstream.failed(endpoint);
    stream.cancel();
    this.want();
  }

  /** Lets go; `want` opens it again. */
  release(): void {
    if (this.state.kind === 'closed') return;
    const before = this.state;
    this.state = { kind: 'idle' };
    if (before.kind === 'open') before.stream.cancel();
  }

  close(): void {
    this.release();
    this.state = { kind: 'closed' };
  }

  private async open(): Promise<void> {
    const opening: State = { kind: 'opening' };
    this.state = opening;
    for (;;) {
      if (this.attempt > 0) await this.upstream.pause(this.attempt);
      if (this.state !== opening) return;
      if (this.upstream.closed) {
        this.state = { kind: 'closed' };
        return;
      }
      this.attempt++;
      try {
        const { stream, endpoint } = await this.upstream.open(this.method, this.metadata);
        // Nobody may want it any more.
        if (this.state !== opening) {
          stream.cancel();
          return;
        }
        this.state = { kind: 'open', stream, endpoint };
        stream.onEnd((error) => this.broke(stream, error));
        stream.onMessage((message) => {
          if (this.state.kind === 'open' && this.state.stream === stream) this.owner.received(message);
        });
        this.owner.opened();
        return;
      } catch (reason) {
        if (this.state !== opening) return;
        if (!this.owner.lost(toRpcError(reason))) {
          this.state = { kind: 'idle' };
          return;
        }
      }
    }
  }

  private broke(stream: ClientStream<Buffer, Buffer>, reason: RpcError | undefined): void {
    if (this.state.kind !== 'open' || this.state.stream !== stream) return;
    const { endpoint } = this.state;
    this.state = { kind: 'idle' };
    const error = reason ?? new RpcError(StatusCode.Unavailable, 'the member ended the stream');
    if (!CALLERS_FAULT.has(error.code)) this.upstream.failed(endpoint);
    if (this.owner.lost(error)) this.want();
  }
}
