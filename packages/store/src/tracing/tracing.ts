/**
 * --enable-distributed-tracing: a server span for every call, as otelgrpc makes them for etcd, and inside it the span
 * of what etcd 3.7 does for it ("put", "range", "txn" …) with etcd's attributes and events. It stands around the hooks
 * and the handlers of the table and changes nothing for them. Loaded only when it is asked for.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Ring, toError, type Clock, type Logger } from '@keelson/base';
import { services } from '@keelson/proto';
import {
  MethodTable,
  remoteParent,
  Sampler,
  Span,
  SpanExporter,
  SpanKind,
  StatusCode,
  type BidiHandler,
  type CallContext,
  type CallHooks,
  type CallOutcome,
  type Channel,
  type DuplexStream,
  type MethodDescriptor,
  type ServerStreamHandler,
  type SpanResource as Resource,
  type UnaryHandler,
} from '@keelson/rpc';
import { StoreError, type ErrorCode } from '../errors.ts';
import type { Registry } from '../metrics/registry.ts';
import { describe } from './describe.ts';

/** gRPC's codes that say the server is at fault; every other is the caller's. */
const FAULTS: ReadonlySet<StatusCode> = new Set([
  StatusCode.Unknown,
  StatusCode.DeadlineExceeded,
  StatusCode.Unimplemented,
  StatusCode.Internal,
  StatusCode.Unavailable,
  StatusCode.DataLoss,
]);

export interface TracingOptions {
  /** To the collector; becomes ours. */
  readonly channel: Channel;
  readonly resource: Resource;
  /** Calls in a million that are traced without their caller's asking. */
  readonly samplingRate: number;
  readonly clock: Clock;
  readonly random64: () => bigint;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** How a command ends that the state machine has not answered: it never left, or nobody knows. */
const UNANSWERED: ReadonlySet<ErrorCode> = new Set([
  'PROPOSAL_DROPPED',
  'REQUEST_TOO_LARGE',
  'STOPPED',
  'TIMEOUT',
  'TIMEOUT_CONNECTION_LOST',
  'TIMEOUT_LEADER_FAIL',
  'TOO_MANY_REQUESTS',
]);

export class Tracing {
  private readonly options: TracingOptions;
  private readonly sampler: Sampler;
  private readonly exporter: SpanExporter;
  private readonly serverSpans = new WeakMap<CallContext, Span>();
  private readonly current = new AsyncLocalStorage<Span>();

  constructor(options: TracingOptions) {
    this.options = options;
    this.sampler = new Sampler(options.samplingRate);
    const exporter = new SpanExporter(options.channel, options.resource, options.clock, options.logger);
    this.exporter = exporter;
    const { registry } = options;
    const { counters } = exporter;
    registry.read(
      'gauge',
      'keelson_tracing_queue_spans',
      'Spans that wait for the collector.',
      () => exporter.queued,
    );
    registry.read(
      'counter',
      'keelson_tracing_exported_spans_total',
      'Spans the collector took.',
      () => counters.exported,
    );
    registry.read(
      'counter',
      'keelson_tracing_dropped_spans_total',
      'Spans that were lost: the queue was full, or the collector did not take them.',
      () => counters.droppedFull + counters.droppedFailed,
    );
  }

  /** The same hooks; every call that is sampled has its span. */
  around(inner: CallHooks): CallHooks {
    return {
      before: (call) => {
        this.begin(call);
        inner.before?.(call);
      },
      after: (call, outcome) => {
        inner.after?.(call, outcome);
        const span = this.serverSpans.get(call);
        if (span !== undefined) this.finish(span, call, outcome);
      },
      received: (call, bytes) => inner.received?.(call, bytes),
      sent: (call, bytes) => inner.sent?.(call, bytes),
      unexpected: (call, error) => inner.unexpected?.(call, error),
    };
  }

  /** Handlers registered with the answer are entered in `table`, each inside the span of its work. */
  over(table: MethodTable): MethodTable {
    return new TracedTable(
      table,
      (request, call, path, run) => this.traced(request, call, path, run),
      (stream, path) => this.answering(stream, path),
    );
  }

  /** A command is proposed on behalf of the call that is being served, if one is. */
  readonly proposed = (result: Promise<unknown>): void => {
    const span = this.current.getStore();
    if (span === undefined) return;
    const { clock } = this.options;
    span.event('Send raft proposal', clock.monotonicMs());
    result.then(
      () => span.event('Receive raft result', clock.monotonicMs()),
      (error: unknown) => {
        // A refusal is a result too: the state machine's.
        if (error instanceof StoreError && !UNANSWERED.has(error.code))
          span.event('Receive raft result', clock.monotonicMs());
        else span.exception(toError(error), clock.monotonicMs());
      },
    );
  };

  /** Sends what is left. */
  close(): Promise<void> {
    return this.exporter.close();
  }

  private begin(call: CallContext): void {
    const parent = remoteParent(call.metadata);
    const traceId = parent?.traceId ?? this.id() + this.id();
    if (!this.sampler.sampled(parent, traceId)) return;
    const [, service = '', method = ''] = call.path.split('/');
    const { clock } = this.options;
    const startMs = clock.monotonicMs();
    const span = new Span({
      traceId,
      spanId: this.id(),
      parentId: parent?.spanId ?? '',
      remote: parent !== undefined,
      state: parent?.state ?? '',
      name: call.path.slice(1),
      kind: SpanKind.Server,
      epochMs: clock.nowMs() - startMs,
      startMs,
    });
    span.attribute('rpc.service', service);
    span.attribute('rpc.method', method);
    span.attribute('rpc.system', 'grpc');
    this.serverSpans.set(call, span);
  }

  private finish(span: Span, call: CallContext, outcome: CallOutcome): void {
    const port = /^(.*):(\d+)$/.exec(call.peer);
    span.attribute('net.sock.peer.addr', (port?.[1] ?? call.peer).replace(/^\[(.*)\]$/, '$1'));
    if (port !== null) span.attribute('net.sock.peer.port', Number(port[2]));
    span.attribute('rpc.grpc.status_code', outcome.code);
    if (FAULTS.has(outcome.code)) span.errorText = outcome.details;
    this.end(span);
  }

  /** Runs a handler inside the span of its work, or of its call where that has no name. */
  private traced<T>(request: unknown, call: CallContext, path: string, run: () => T): T {
    const parent = this.serverSpans.get(call);
    if (parent === undefined) return run();
    const span = this.child(parent, path, request);
    if (span === undefined) return this.current.run(parent, run);
    let result: T;
    try {
      result = this.current.run(span, run);
    } catch (error) {
      this.end(span);
      throw error;
    }
    if (!(result instanceof Promise)) {
      this.end(span);
      return result;
    }
    const ended = (): void => this.end(span);
    void result.then(ended, ended);
    return result;
  }

  /** The span of the work behind a request; undefined where that has no name. */
  private child(parent: Span, path: string, request: unknown): Span | undefined {
    const described = describe(path, request);
    if (described === undefined) return undefined;
    const span = new Span({
      ...parent.start,
      spanId: this.id(),
      parentId: parent.start.spanId,
      remote: false,
      name: described.name,
      kind: SpanKind.Internal,
      startMs: this.options.clock.monotonicMs(),
    });
    for (const { key, value } of described.attributes) span.attribute(key, value);
    return span;
  }

  /**
   * The same stream for a handler that answers each message with one, in order (renewals of leases): each has its
   * span, from its coming to its answer. What has none when the call ends, ends with it.
   */
  private answering<Req, Res>(stream: DuplexStream<Req, Res>, path: string): DuplexStream<Req, Res> {
    const parent = this.serverSpans.get(stream.call);
    if (parent === undefined || path !== services.Lease.methods.leaseKeepAlive.path) return stream;
    const open = new Ring<Span>();
    const endNext = (): boolean => {
      const span = open.shift();
      if (span !== undefined) this.end(span);
      return span !== undefined;
    };
    const onMessage = (task: (message: Req) => void): void =>
      stream.onMessage((message) => {
        const span = this.child(parent, path, message);
        if (span !== undefined) open.push(span);
        task(message);
      });
    const write = (message: Res): boolean => {
      endNext();
      return stream.write(message);
    };
    stream.onCancel(() => {
      while (endNext());
    });
    return new Proxy(stream, {
      get: (target, name): unknown => {
        if (name === 'onMessage') return onMessage;
        if (name === 'write') return write;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  private end(span: Span): void {
    span.endMs ??= this.options.clock.monotonicMs();
    this.exporter.add(span);
  }

  /** 16 hex digits, not all zero. */
  private id(): string {
    for (;;) {
      const id = this.options.random64();
      if (id !== 0n) return id.toString(16).padStart(16, '0');
    }
  }
}

type Answering = <Req, Res>(stream: DuplexStream<Req, Res>, path: string) => DuplexStream<Req, Res>;
type Trace = <T>(request: unknown, call: CallContext, path: string, run: () => T) => T;

/** Enters what is registered in another table, behind the trace. */
class TracedTable extends MethodTable {
  private readonly inner: MethodTable;
  private readonly trace: Trace;
  private readonly answering: Answering;

  constructor(inner: MethodTable, trace: Trace, answering: Answering) {
    super();
    this.inner = inner;
    this.trace = trace;
    this.answering = answering;
  }

  override unary<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: UnaryHandler<Req, Res>): this {
    this.inner.unary(descriptor, (request, call) =>
      this.trace(request, call, descriptor.path, () => handler(request, call)),
    );
    return this;
  }

  override serverStream<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    handler: ServerStreamHandler<Req, Res>,
  ): this {
    this.inner.serverStream(descriptor, (request, stream) =>
      this.trace(request, stream.call, descriptor.path, () => handler(request, stream)),
    );
    return this;
  }

  override bidi<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: BidiHandler<Req, Res>): this {
    this.inner.bidi(descriptor, (stream) => handler(this.answering(stream, descriptor.path)));
    return this;
  }
}
