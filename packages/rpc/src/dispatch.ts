/**
 * The server half of a call, written once for every transport: finds the method, runs hooks and handler,
 * decodes and encodes, guards cardinality, and makes sure that a call ends exactly once. It owns no
 * socket and no timer. Error texts are grpc-go's.
 */
import { assert, type Clock } from '@keelson/base';
import { Metadata, type MetadataValue } from './metadata.ts';
import type { CallContext, DuplexStream, MethodEntry, MethodTable } from './method-table.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import type { CallHooks } from './server.ts';
import { RpcError, StatusCode, toRpcError } from './status.ts';
import type { Acceptor, ServerSink, ServerWire } from './wire.ts';

const NO_HOOKS: CallHooks = {};

/** An acceptor that serves `table`; a transport calls it once for each incoming call. */
export function dispatcher(table: MethodTable, hooks: CallHooks | undefined, clock: Clock): Acceptor {
  return (wire) => {
    const method = table.find(wire.path);
    if (method === undefined) {
      wire.finish(StatusCode.Unimplemented, unknownMethodText(table, wire.path), undefined);
      return DEAF;
    }
    const call = new ServerCall(wire, table, method, hooks ?? NO_HOOKS, clock);
    call.start();
    return call;
  };
}

/** For calls that were refused: whatever still arrives is dropped. */
const DEAF: ServerSink = {
  messageArrived: () => {},
  halfCloseArrived: () => {},
  drainArrived: () => {},
  cancelArrived: () => {},
};

/** grpc-go's three texts for a path it does not serve. */
function unknownMethodText(table: MethodTable, path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash <= 0) return `malformed method name: "${path}"`;
  const service = path.slice(1, slash);
  for (const entry of table.entries()) {
    if (entry.descriptor.path.startsWith(`/${service}/`)) {
      return `unknown method ${path.slice(slash + 1)} for service ${service}`;
    }
  }
  return `unknown service ${service}`;
}

class ServerCall implements CallContext, DuplexStream<unknown, unknown>, ServerSink {
  attachment: unknown = undefined;
  private readonly wire: ServerWire;
  private readonly table: MethodTable;
  private readonly method: MethodEntry;
  private readonly hooks: CallHooks;
  private readonly clock: Clock;
  private readonly startedMs: number;
  private headers: Metadata | undefined = undefined;
  private trailers: Metadata | undefined = undefined;
  private headersSent = false;
  private ended = false;
  /** The handler returned a promise that has not settled. */
  private running = false;
  private cancelledWith: StatusCode | undefined = undefined;
  /** Made when one is: most calls have none of either. */
  private cancelTasks: (() => void)[] | undefined = undefined;
  private request: unknown = undefined;
  private requestSeen = false;
  private halfClosed = false;
  private paused = false;
  private messageTask: ((message: unknown) => void) | undefined = undefined;
  private halfCloseTask: (() => void) | undefined = undefined;
  private drainTask: (() => void) | undefined = undefined;
  private readyWaiters: (() => void)[] | undefined = undefined;
  private writable = true;
  private receivedCount = 0;
  private receivedBytes = 0;
  private sentCount = 0;
  private sentBytes = 0;

  constructor(wire: ServerWire, table: MethodTable, method: MethodEntry, hooks: CallHooks, clock: Clock) {
    this.wire = wire;
    this.table = table;
    this.method = method;
    this.hooks = hooks;
    this.clock = clock;
    this.startedMs = clock.monotonicMs();
  }

  /** Runs the `before` hook, then either the bidi handler or the wait for the one request. */
  start(): void {
    try {
      this.hooks.before?.(this);
    } catch (error) {
      this.failWith(error);
      return;
    }
    const method = this.method;
    if (method.kind === 'bidi') {
      this.settle(() => method.handler(this));
    } else {
      this.wire.setReading(true);
    }
  }

  // What the handler sees of its call.

  get call(): CallContext {
    return this;
  }
  get path(): string {
    return this.wire.path;
  }
  get peer(): string {
    return this.wire.peer;
  }
  get peerCertificate(): PeerCertificate | undefined {
    return this.wire.peerCertificate;
  }
  get metadata(): Metadata {
    return this.wire.metadata;
  }
  get deadlineMs(): number | undefined {
    return this.wire.deadlineMs;
  }
  get cancelled(): boolean {
    return this.cancelledWith !== undefined;
  }
  get cancelCode(): StatusCode | undefined {
    return this.cancelledWith;
  }
  get closed(): boolean {
    return this.ended || this.cancelledWith !== undefined;
  }

  onCancel(task: () => void): void {
    if (this.cancelledWith !== undefined) task();
    else if (!this.ended) (this.cancelTasks ??= []).push(task);
  }

  setHeader(key: string, value: MetadataValue): void {
    (this.headers ??= new Metadata()).set(key, value);
  }

  setTrailer(key: string, value: MetadataValue): void {
    (this.trailers ??= new Metadata()).set(key, value);
  }

  // The streams.

  write(message: unknown): boolean {
    if (this.closed) return false;
    let bytes: Buffer;
    try {
      bytes = this.method.descriptor.response.encode(message);
    } catch (error) {
      this.hooks.unexpected?.(this, error);
      this.fail(
        new RpcError(StatusCode.Internal, `grpc: error while marshaling: ${toRpcError(error).message}`),
      );
      return false;
    }
    return this.writeEncoded(bytes);
  }

  writeEncoded(bytes: Buffer): boolean {
    if (this.closed) return false;
    this.sendHeadersOnce();
    this.sentCount++;
    this.sentBytes += bytes.length;
    this.hooks.sent?.(this, bytes.length);
    this.writable = this.wire.send(bytes);
    return this.writable;
  }

  onDrain(task: () => void): void {
    this.drainTask = task;
  }

  ready(): Promise<void> {
    if (this.writable || this.closed) return Promise.resolve();
    return new Promise((resolve) => (this.readyWaiters ??= []).push(resolve));
  }

  end(): void {
    if (this.closed) return;
    this.finish(StatusCode.OK, '');
  }

  fail(error: RpcError): void {
    if (this.closed) return;
    if (error.metadata !== undefined) {
      this.trailers ??= new Metadata();
      for (const [key, values] of error.metadata.entries()) {
        for (const value of values) this.trailers.add(key, value);
      }
    }
    this.finish(error.code, error.message);
  }

  onMessage(task: (message: unknown) => void): void {
    assert(this.method.kind === 'bidi', 'only a bidirectional call has inbound messages to listen to');
    this.messageTask = task;
    if (!this.paused && !this.closed) this.wire.setReading(true);
  }

  onHalfClose(task: () => void): void {
    this.halfCloseTask = task;
    if (this.halfClosed && !this.closed) task();
  }

  pause(): void {
    this.paused = true;
    if (!this.closed) this.wire.setReading(false);
  }

  resume(): void {
    this.paused = false;
    if (!this.closed && this.messageTask !== undefined) this.wire.setReading(true);
  }

  // What the transport tells.

  messageArrived(bytes: Buffer): void {
    if (this.closed) return;
    this.receivedCount++;
    this.receivedBytes += bytes.length;
    this.hooks.received?.(this, bytes.length);
    let message: unknown;
    try {
      message = this.method.descriptor.request.decode(bytes);
    } catch (error) {
      const prefix =
        this.method.kind === 'unary'
          ? 'grpc: error unmarshalling request'
          : 'grpc: failed to unmarshal the received message';
      this.fail(new RpcError(StatusCode.Internal, `${prefix}: ${toRpcError(error).message}`));
      return;
    }
    if (this.method.kind === 'bidi') {
      assert(this.messageTask !== undefined, 'a message was read before anyone listened');
      this.guarded(this.messageTask, message);
    } else if (this.requestSeen) {
      this.fail(new RpcError(StatusCode.Unimplemented, `more than one request for ${this.path}`));
    } else {
      this.requestSeen = true;
      this.request = message;
    }
  }

  halfCloseArrived(): void {
    if (this.closed || this.halfClosed) return;
    this.halfClosed = true;
    const method = this.method;
    if (method.kind === 'bidi') {
      if (this.halfCloseTask !== undefined) this.guarded(this.halfCloseTask, undefined);
      return;
    }
    if (!this.requestSeen) {
      this.fail(new RpcError(StatusCode.Internal, `no request for ${this.path}`));
      return;
    }
    const request = this.request;
    this.request = undefined;
    if (method.kind === 'unary') this.answer(method, request);
    else this.settle(() => method.handler(request, this));
  }

  drainArrived(): void {
    this.writable = true;
    this.wakeWriters();
    if (this.drainTask !== undefined && !this.closed) this.guarded(this.drainTask, undefined);
  }

  cancelArrived(code: StatusCode, details: string): void {
    if (this.closed) return;
    this.cancelledWith = code;
    this.report(code, details);
    this.wakeWriters();
    const tasks = this.cancelTasks;
    this.cancelTasks = undefined;
    if (tasks !== undefined) for (const task of tasks) this.guarded(task, undefined);
    if (!this.running) this.wire.handlerEnded();
  }

  // Handlers, and the one way out.

  private answer(method: Extract<MethodEntry, { kind: 'unary' }>, request: unknown): void {
    let outcome: unknown;
    try {
      outcome = method.handler(request, this);
    } catch (error) {
      this.failWith(error);
      return;
    }
    if (outcome instanceof Promise) {
      this.running = true;
      outcome.then(
        (response: unknown) => {
          this.handlerSettled();
          this.answered(response);
        },
        (error: unknown) => {
          this.handlerSettled();
          this.failWith(error);
        },
      );
    } else {
      this.answered(outcome);
    }
  }

  private answered(response: unknown): void {
    this.write(response);
    this.end();
  }

  /** Runs a stream handler; a returned promise ends the call when it settles. */
  private settle(run: () => Promise<void> | void): void {
    try {
      const outcome = run();
      if (outcome instanceof Promise) {
        this.running = true;
        outcome.then(
          () => {
            this.handlerSettled();
            this.end();
          },
          (error: unknown) => {
            this.handlerSettled();
            this.failWith(error);
          },
        );
      }
    } catch (error) {
      this.failWith(error);
    }
  }

  private handlerSettled(): void {
    this.running = false;
    if (this.cancelledWith !== undefined) this.wire.handlerEnded();
  }

  /** Runs a listener of the handler; what it throws ends this call, not the connection. */
  private guarded<T>(task: (argument: T) => void, argument: T): void {
    try {
      task(argument);
    } catch (error) {
      this.failWith(error);
    }
  }

  private failWith(reason: unknown): void {
    const error = this.table.failureOf(reason);
    if (!(error instanceof RpcError)) this.hooks.unexpected?.(this, error);
    this.fail(toRpcError(error));
  }

  private finish(code: StatusCode, details: string): void {
    this.ended = true;
    this.sendHeadersOnce();
    this.wire.finish(code, details, this.trailers);
    this.cancelTasks = undefined;
    this.wakeWriters();
    this.report(code, details);
  }

  /** Headers nobody set need no sending of their own: the transport opens the response itself. */
  private sendHeadersOnce(): void {
    if (this.headersSent) return;
    this.headersSent = true;
    if (this.headers !== undefined) this.wire.sendHeaders(this.headers);
  }

  private report(code: StatusCode, details: string): void {
    this.hooks.after?.(this, {
      code,
      details,
      durationMs: this.clock.monotonicMs() - this.startedMs,
      receivedCount: this.receivedCount,
      receivedBytes: this.receivedBytes,
      sentCount: this.sentCount,
      sentBytes: this.sentBytes,
    });
  }

  private wakeWriters(): void {
    const waiters = this.readyWaiters;
    if (waiters === undefined) return;
    this.readyWaiters = undefined;
    for (const wake of waiters) wake();
  }
}
