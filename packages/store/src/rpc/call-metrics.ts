/**
 * Counts calls: what go-grpc-prometheus and etcd's own interceptors export, by service, method, kind and code. It
 * stands around the hooks every call passes, whichever way it came, and changes nothing but the answer to a client
 * whose version is no text. Per call it costs a few lookups by path.
 */
import { statusName, StatusCode, type CallContext, type CallHooks, type MethodTable } from '@keelson/rpc';
import { services } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { exponentialBuckets, type Counter, type Histogram } from '../metrics/metric.ts';
import type { Labelled, Registry } from '../metrics/registry.ts';

const CLIENT_VERSION_KEY = 'client-api-version';
const CODES = Object.values(StatusCode);
/** prometheus.DefBuckets. */
const HANDLING_BOUNDS = Float64Array.of(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10);
const REQUEST_BOUNDS = exponentialBuckets(0.001, 2, 14);
const RANGE_BOUNDS = exponentialBuckets(0.0001, 2, 20);

/** Versions clients name that are remembered for speed; the family has a bound of its own. */
const VERSIONS_MAX = 100;

const KINDS = {
  unary: 'unary',
  'server-stream': 'server_stream',
  'client-stream': 'client_stream',
  bidi: 'bidi_stream',
} as const;

interface MethodMetrics {
  readonly name: string;
  readonly unary: boolean;
  /** etcd's word for a stream of requests. */
  readonly stream: string | undefined;
  readonly started: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  /** By code. */
  readonly handled: readonly Counter[];
  /** With --metrics=extensive. */
  readonly handling: Histogram | undefined;
  /** Of what is a piece of work on the member itself (a hash, a snapshot): how long the good ones take. */
  readonly work: Histogram | undefined;
  /** Of a client's requests to keys, leases and users: etcd_server_request_duration_seconds. */
  readonly request: Outcomes | undefined;
}

/** A histogram for each outcome; each appears with its first observation. */
class Outcomes {
  private readonly make: (success: string) => Histogram;
  private good: Histogram | undefined = undefined;
  private bad: Histogram | undefined = undefined;

  constructor(make: (success: string) => Histogram) {
    this.make = make;
  }

  observe(succeeded: boolean, seconds: number): void {
    if (succeeded) (this.good ??= this.make('true')).observe(seconds);
    else (this.bad ??= this.make('false')).observe(seconds);
  }
}

export class CallMetrics {
  readonly receivedBytes: Counter;
  readonly sentBytes: Counter;
  private readonly methods = new Map<string, MethodMetrics>();
  private readonly clientRequests: Labelled<Counter>;
  /** The counters of clientRequests by version, for each kind. */
  private readonly unaryVersions = new Map<string, Counter>();
  private readonly streamVersions = new Map<string, Counter>();
  private readonly ranges: Outcomes;
  private readonly streamFailures: Labelled<Counter>;
  private defragmenting = 0;

  /** @param extensive --metrics=extensive: a histogram for every method */
  constructor(registry: Registry, table: MethodTable, extensive: boolean) {
    this.receivedBytes = registry.counter(
      'etcd_network_client_grpc_received_bytes_total',
      'Bytes of messages from clients.',
    );
    this.sentBytes = registry.counter(
      'etcd_network_client_grpc_sent_bytes_total',
      'Bytes of messages to clients.',
    );
    this.clientRequests = registry.counters(
      'etcd_server_client_requests_total',
      'Calls by kind and by what the client says of its version.',
      ['type', 'client_api_version'],
    );
    const ranges = registry.histograms(
      'etcd_server_range_duration_seconds',
      'Ranges by outcome.',
      ['success'],
      RANGE_BOUNDS,
    );
    this.ranges = new Outcomes((success) => ranges.with(success));
    this.streamFailures = registry.counters(
      'etcd_network_server_stream_failures_total',
      'Streams that ended because what came could not be read.',
      ['Type', 'API'],
    );
    registry.read('gauge', 'etcd_disk_defrag_inflight', '1 while the member defragments.', () =>
      this.defragmenting > 0 ? 1 : 0,
    );
    this.add(registry, table, extensive);
  }

  /** The same hooks, counted. */
  around(inner: CallHooks): CallHooks {
    return {
      before: (call) => {
        const method = this.methods.get(call.path);
        if (method !== undefined) this.begin(method, call);
        inner.before?.(call);
      },
      after: (call, outcome) => {
        const method = this.methods.get(call.path);
        if (method !== undefined) this.end(method, outcome.code, outcome.durationMs / 1_000);
        inner.after?.(call, outcome);
      },
      received: (call, bytes) => {
        this.receivedBytes.value += bytes;
        const method = this.methods.get(call.path);
        if (method !== undefined) method.received.value++;
        inner.received?.(call, bytes);
      },
      sent: (call, bytes) => {
        this.sentBytes.value += bytes;
        const method = this.methods.get(call.path);
        if (method !== undefined) method.sent.value++;
        inner.sent?.(call, bytes);
      },
      unexpected: (call, error) => inner.unexpected?.(call, error),
    };
  }

  private begin(method: MethodMetrics, call: CallContext): void {
    method.started.value++;
    if (call.path === DEFRAGMENT) this.defragmenting++;
    const version = call.metadata.text(CLIENT_VERSION_KEY) ?? 'unknown';
    const versions = method.unary ? this.unaryVersions : this.streamVersions;
    const known = versions.get(version);
    if (known !== undefined) {
      known.value++;
      return;
    }
    if (!isText(version)) throw new StoreError('INVALID_CLIENT_API_VERSION');
    const counter = this.clientRequests.with(method.unary ? 'unary' : 'stream', version);
    if (versions.size < VERSIONS_MAX) versions.set(version, counter);
    counter.value++;
  }

  private end(method: MethodMetrics, code: StatusCode, seconds: number): void {
    const succeeded = code === StatusCode.OK;
    method.handled[code].value++;
    method.handling?.observe(seconds);
    if (succeeded) method.work?.observe(seconds);
    method.request?.observe(succeeded, seconds);
    if (method.stream !== undefined && UNREADABLE.has(code))
      this.streamFailures.with('receive', method.stream).value++;
    if (method.name === 'Range') this.ranges.observe(succeeded, seconds);
    if (method.name === 'Defragment') this.defragmenting--;
  }

  private add(registry: Registry, table: MethodTable, extensive: boolean): void {
    const labels = ['grpc_type', 'grpc_service', 'grpc_method'];
    const started = registry.counters('grpc_server_started_total', 'Calls begun.', labels);
    const received = registry.counters('grpc_server_msg_received_total', 'Messages received.', labels);
    const sent = registry.counters('grpc_server_msg_sent_total', 'Messages sent.', labels);
    const handled = registry.counters('grpc_server_handled_total', 'Calls ended, by code.', [
      ...labels,
      'grpc_code',
    ]);
    const handling = extensive
      ? registry.histograms('grpc_server_handling_seconds', 'Durations of calls.', labels, HANDLING_BOUNDS)
      : undefined;
    const requests = registry.histograms(
      'etcd_server_request_duration_seconds',
      'Requests by method and outcome.',
      ['type', 'success'],
      REQUEST_BOUNDS,
    );
    const work = workHistograms(registry);
    for (const { descriptor } of table.entries()) {
      const [, service, name] = descriptor.path.split('/');
      const values = [KINDS[descriptor.kind], service, name] as const;
      this.methods.set(descriptor.path, {
        name,
        unary: descriptor.kind === 'unary',
        stream: STREAMS.get(descriptor.path),
        started: started.with(...values),
        received: received.with(...values),
        sent: sent.with(...values),
        handled: CODES.map((code) => handled.with(...values, statusName(code))),
        handling: handling?.with(...values),
        work: work.get(descriptor.path),
        request:
          descriptor.kind === 'unary' && REQUEST_SERVICES.has(service)
            ? new Outcomes((success) => requests.with(name, success))
            : undefined,
      });
    }
  }
}

const REQUEST_SERVICES: ReadonlySet<string> = new Set([
  services.KV.name,
  services.Lease.name,
  services.Auth.name,
]);
const STREAMS: ReadonlyMap<string, string> = new Map([
  [services.Watch.methods.watch.path, 'watch'],
  [services.Lease.methods.leaseKeepAlive.path, 'lease-keepalive'],
]);
/** How a call ends whose message was too large or no message; a client that goes is no failure. */
const UNREADABLE: ReadonlySet<StatusCode> = new Set([StatusCode.Internal, StatusCode.ResourceExhausted]);
const DEFRAGMENT = services.Maintenance.methods.defragment.path;

/** Histograms that etcd fills where the work is done: here a call is the work, from its beginning to its end. */
function workHistograms(registry: Registry): ReadonlyMap<string, Histogram> {
  const { defragment, snapshot, hash, hashKV } = services.Maintenance.methods;
  const rows = [
    [defragment.path, 'etcd_disk_backend_defrag_duration_seconds', 'Defragmentations.', 0.1, 13],
    [snapshot.path, 'etcd_disk_backend_snapshot_duration_seconds', 'Snapshots sent to clients.', 0.01, 17],
    [hash.path, 'etcd_mvcc_hash_duration_seconds', 'Hashes of the whole backend.', 0.01, 15],
    [hashKV.path, 'etcd_mvcc_hash_rev_duration_seconds', 'Hashes of keys and values.', 0.01, 15],
  ] as const;
  return new Map(
    rows.map(([path, name, help, start, count]) => [
      path,
      registry.histogram(name, help, exponentialBuckets(start, 2, count)),
    ]),
  );
}

/** Metadata arrives byte by byte; what is not ASCII must at least be UTF-8. */
function isText(version: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  if (/^[\x00-\x7f]*$/.test(version)) return true;
  return !Buffer.from(version, 'latin1').toString('utf8').includes('\ufffd');
}
