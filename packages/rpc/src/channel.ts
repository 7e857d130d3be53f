/**
 * The client half: calls as promises and streams over any ClientTransport. Encodes, decodes, checks that a
 * unary call gets exactly one answer, and turns every end into either a value or an RpcError. It never
 * repeats a call: who may try again is the caller's decision (`RpcError.unsent` says when it is safe).
 */
import { Metadata } from './metadata.ts';
import type { InStream, MethodDescriptor, OutStream } from './method-table.ts';
import { CANCELLED_TEXT, RpcError, StatusCode, toRpcError } from './status.ts';
import type { ClientSink, ClientTransport, ClientWire } from './wire.ts';

export interface CallOptions {
  /** How long the call may take, all told; sent to the server as grpc-timeout. Default: no limit. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
  /** Aborting cancels the call: it ends with Cancelled, "context canceled". */
  readonly signal?: AbortSignal;
  /** The server's headers, before the first message. Not called when it sends none. */
  readonly onHeaders?: (headers: Metadata) => void;
  /** The server's trailers of a call that ended OK; an error carries its own in `metadata`. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

export type ChannelState = 'idle' | 'connecting' | 'ready' | 'failed' | 'closed';

/** A client's end of a streaming call. Iterate it, or set `onMessage` and `onEnd`; not both. */
export interface ClientStream<Req, Res> extends OutStream<Req>, InStream<Res>, AsyncIterable<Res> {
  /** Called once when the call is over, after the last message: undefined for OK. At once if it already is. */
  onEnd(task: (error: RpcError | undefined) => void): void;
  /** Ends the call from this side; `onEnd` follows with Cancelled. Does nothing after the end. */
  cancel(): void;
}

/** What a client reads from a server stream. */
export type ClientReader<Res> = Omit<ClientStream<never, Res>, keyof OutStream<never>>;

export interface Channel {
  /** What was dialled, for messages. */
  readonly address: string;
  readonly state: ChannelState;
  /** @returns a function that stops the notifications */
  onStateChange(task: (state: ChannelState) => void): () => void;
  /**
   * Makes sure a connection stands, dialling if needed.
   * @throws RpcError Unavailable and `unsent` when it fails or takes longer than `timeoutMs`
   */
  connect(timeoutMs: number): Promise<void>;
  /** @throws RpcError (as a rejection) when the call ends with anything but OK and one message */
  unary<Req, Res>(descriptor: MethodDescriptor<Req, Res>, request: Req, options?: CallOptions): Promise<Res>;
  serverStream<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    request: Req,
    options?: CallOptions,
  ): ClientReader<Res>;
  bidi<Req, Res>(descriptor: MethodDescriptor<Req, Res>, options?: CallOptions): ClientStream<Req, Res>;
  /** Cancels what runs and lets go of the connection. Later calls end with Unavailable, `unsent`. */
  close(): void;
}

/** A channel over a transport of its own: what calls of each kind have alike on all of them. */
export abstract class TransportChannel implements Channel, ClientTransport {
  abstract readonly address: string;
  abstract readonly state: ChannelState;
  abstract onStateChange(task: (state: ChannelState) => void): () => void;
  abstract connect(timeoutMs: number): Promise<void>;
  abstract close(): void;
  abstract open(
    path: string,
    metadata: Metadata,
    timeoutMs: number | undefined,
    sink: ClientSink,
  ): ClientWire;

  unary<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> {
    return callUnary(this, descriptor, request, options);
  }

  serverStream<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): ClientReader<Res> {
    return callServerStream(this, descriptor, request, options);
  }

  bidi<Req, Res>(descriptor: MethodDescriptor<Req, Res>, options: CallOptions = {}): ClientStream<Req, Res> {
    return callBidi(this, descriptor, options);
  }
}

function callUnary<Req, Res>(
  transport: ClientTransport,
  descriptor: MethodDescriptor<Req, Res>,
  request: Req,
  options: CallOptions,
): Promise<Res> {
  return new Promise<Res>((resolve, reject) => {
    const call = new ClientCall<Req, Res>(descriptor, options);
    const answers: Res[] = [];
    call.onMessage((message) => {
      answers.push(message);
    });
    call.onEnd((error) => {
      if (error !== undefined) reject(error);
      else if (answers.length === 1) resolve(answers[0]);
      else {
        const details = `${answers.length} responses to the unary call ${descriptor.path}`;
        reject(new RpcError(StatusCode.Internal, details));
      }
    });
    call.start(transport);
    call.write(request);
    call.end();
  });
}

function callServerStream<Req, Res>(
  transport: ClientTransport,
  descriptor: MethodDescriptor<Req, Res>,
  request: Req,
  options: CallOptions,
): ClientReader<Res> {
  const call = new ClientCall<Req, Res>(descriptor, options);
  call.start(transport);
  call.write(request);
  call.end();
  return call;
}

function callBidi<Req, Res>(
  transport: ClientTransport,
  descriptor: MethodDescriptor<Req, Res>,
  options: CallOptions,
): ClientStream<Req, Res> {
  const call = new ClientCall<Req, Res>(descriptor, options);
  call.start(transport);
  return call;
}

const NO_METADATA = new Metadata();

/** Our own verdict on a call of which, the transport says, no byte has left. */
function neverSent(verdict: RpcError): RpcError {
  return verdict.unsent ? verdict : new RpcError(verdict.code, verdict.message, verdict.metadata, true);
}

class ClientCall<Req, Res> implements ClientStream<Req, Res>, ClientSink {
  private readonly descriptor: MethodDescriptor<Req, Res>;
  private readonly options: CallOptions;
  private wire: ClientWire | undefined = undefined;
  private halfClosed = false;
  private over = false;
  private outcome: RpcError | undefined = undefined;
  /** Set when we end the call for a reason of our own, which then outranks the transport's status. */
  private verdict: RpcError | undefined = undefined;
  private paused = false;
  private writable = true;
  private messageTask: ((message: Res) => void) | undefined = undefined;
  private endTask: ((error: RpcError | undefined) => void) | undefined = undefined;
  private drainTask: (() => void) | undefined = undefined;
  private readyWaiters: (() => void)[] = [];
  private readonly abort = (): void => this.cancel();

  constructor(descriptor: MethodDescriptor<Req, Res>, options: CallOptions) {
    this.descriptor = descriptor;
    this.options = options;
  }

  start(transport: ClientTransport): void {
    const signal = this.options.signal;
    if (signal?.aborted === true) {
      this.statusArrived(StatusCode.Cancelled, CANCELLED_TEXT, NO_METADATA, true);
      return;
    }
    this.wire = transport.open(
      this.descriptor.path,
      this.options.metadata ?? NO_METADATA,
      this.options.timeoutMs,
      this,
    );
    signal?.addEventListener('abort', this.abort, { once: true });
    if (this.messageTask !== undefined && !this.paused) this.wire.setReading(true);
  }

  get closed(): boolean {
    return this.over || this.halfClosed;
  }

  write(message: Req): boolean {
    if (this.closed) return false;
    let bytes: Buffer;
    try {
      bytes = this.descriptor.request.encode(message);
    } catch (error) {
      this.stop(
        new RpcError(
          StatusCode.Internal,
          `grpc: error while marshaling: ${toRpcError(error).message}`,
          undefined,
          true,
        ),
      );
      return false;
    }
    return this.writeEncoded(bytes);
  }

  writeEncoded(bytes: Buffer): boolean {
    if (this.closed || this.wire === undefined) return false;
    this.writable = this.wire.send(bytes);
    return this.writable;
  }

  onDrain(task: () => void): void {
    this.drainTask = task;
  }

  ready(): Promise<void> {
    if (this.writable || this.closed) return Promise.resolve();
    return new Promise((resolve) => this.readyWaiters.push(resolve));
  }

  end(): void {
    if (this.closed) return;
    this.halfClosed = true;
    this.wire?.halfClose();
    this.wakeWriters();
  }

  onMessage(task: (message: Res) => void): void {
    this.messageTask = task;
    if (!this.paused && !this.over) this.wire?.setReading(true);
  }

  onEnd(task: (error: RpcError | undefined) => void): void {
    if (this.over) task(this.outcome);
    else this.endTask = task;
  }

  pause(): void {
    this.paused = true;
    if (!this.over) this.wire?.setReading(false);
  }

  resume(): void {
    this.paused = false;
    if (!this.over && this.messageTask !== undefined) this.wire?.setReading(true);
  }

  cancel(): void {
    this.stop(new RpcError(StatusCode.Cancelled, CANCELLED_TEXT));
  }

  /** Reads with the reader's own pace: the stream is paused while messages wait to be taken. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Res, void, undefined> {
    let waiting: Res[] = [];
    let wake: (() => void) | undefined;
    this.onMessage((message) => {
      waiting.push(message);
      this.pause();
      wake?.();
    });
    this.onEnd(() => wake?.());
    try {
      for (;;) {
        if (waiting.length > 0) {
          const batch = waiting;
          waiting = [];
          yield* batch;
          continue;
        }
        if (this.over) {
          if (this.outcome !== undefined) throw this.outcome;
          return;
        }
        this.resume();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
      }
    } finally {
      this.cancel();
    }
  }

  headersArrived(headers: Metadata): void {
    this.options.onHeaders?.(headers);
  }

  messageArrived(bytes: Buffer): void {
    if (this.over || this.verdict !== undefined) return;
    let message: Res;
    try {
      message = this.descriptor.response.decode(bytes);
    } catch (error) {
      this.stop(
        new RpcError(
          StatusCode.Internal,
          `grpc: failed to unmarshal the received message: ${toRpcError(error).message}`,
        ),
      );
      return;
    }
    this.messageTask?.(message);
  }

  drainArrived(): void {
    this.writable = true;
    this.wakeWriters();
    if (!this.closed) this.drainTask?.();
  }

  statusArrived(code: StatusCode, details: string, trailers: Metadata, unsent: boolean): void {
    if (this.over) return;
    this.over = true;
    this.options.signal?.removeEventListener('abort', this.abort);
    if (this.verdict !== undefined) this.outcome = unsent ? neverSent(this.verdict) : this.verdict;
    else if (code !== StatusCode.OK) this.outcome = new RpcError(code, details, trailers, unsent);
    else this.options.onTrailers?.(trailers);
    this.wakeWriters();
    this.endTask?.(this.outcome);
  }

  /** Ends the call with a reason of ours. The transport answers with its own status, which is not used. */
  private stop(reason: RpcError): void {
    if (this.over || this.verdict !== undefined) return;
    this.verdict = reason;
    if (this.wire === undefined) this.statusArrived(reason.code, reason.message, NO_METADATA, true);
    else this.wire.cancel(reason.code, reason.message);
  }

  private wakeWriters(): void {
    if (this.readyWaiters.length === 0) return;
    const waiters = this.readyWaiters;
    this.readyWaiters = [];
    for (const wake of waiters) wake();
  }
}
