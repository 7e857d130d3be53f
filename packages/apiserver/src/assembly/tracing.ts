/**
 * Spans of what the server does, for --tracing-config-file: one for each request that is sampled, and inside it one for
 * each question to the store and each call of a webhook, which learns whose it is. Sent to a collector by OpenTelemetry's
 * protocol, in batches; who is traced waits for nothing. Bodies, values and credentials are in no span.
 *
 * Modelled on apiserver's endpoints/filters WithTracing and component-base's tracing.
 */

import { AsyncLocalStorage } from 'node:async_hooks';

import type { Clock, Logger } from '@keelson/base';
import {
  Metadata,
  nativeChannel,
  remoteParent,
  Sampler,
  Span,
  SpanExporter,
  SpanKind,
  traceparentOf,
} from '@keelson/rpc';

import type { ApiRequest, ApiResponse, Filter } from '../api/exchange.ts';
import type { RequestInfo } from '../api/request-info.ts';
import { ApiError } from '../api/status.ts';
import { Until } from '../filters/until-over.ts';
import { Gauge, type MetricsRegistry } from '../metrics/registry.ts';
import type { CallTracer } from '../outbound/https-caller.ts';
import type { StoreRequests } from '../storage/measured-key-space.ts';
import type { TracingConfig } from './tracing-config.ts';

export interface TracingParts {
  readonly config: TracingConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly uuid: () => string;
}

/** Whose traces are continued; others could choose ids, and what is sampled, for everybody. */
const TRUSTED: ReadonlySet<string> = new Set(['system:masters', 'system:monitoring']);

export class Tracing {
  private readonly clock: Clock;
  private readonly uuid: () => string;
  private readonly sampler: Sampler;
  private readonly exporter: SpanExporter;
  private readonly current = new AsyncLocalStorage<Span>();

  /** @throws Error for an endpoint that is none */
  constructor({ config, clock, logger, metrics, uuid }: TracingParts) {
    this.clock = clock;
    this.uuid = uuid;
    this.sampler = new Sampler(config.samplingRate);
    const resource = {
      serviceName: 'apiserver',
      instanceId: `apiserver-${uuid()}`,
      scope: '@keelson/apiserver',
      scopeVersion: '',
    };
    const exporter = new SpanExporter(nativeChannel(config.endpoint, { clock }), resource, clock, logger);
    this.exporter = exporter;
    const { counters } = exporter;
    const count = (name: string, help: string, read: () => number, kind: 'gauge' | 'counter'): void => {
      metrics.add(new Gauge(name, help, [], () => [[[], read()]], kind));
    };
    count(
      'keelson_tracing_queue_spans',
      'Spans that wait for the collector.',
      () => exporter.queued,
      'gauge',
    );
    count(
      'keelson_tracing_exported_spans_total',
      'Spans the collector took.',
      () => counters.exported,
      'counter',
    );
    count(
      'keelson_tracing_dropped_spans_total',
      'Spans that were lost: the queue was full, or the collector did not take them.',
      () => counters.droppedFull + counters.droppedFailed,
      'counter',
    );
  }

  /** Behind authentication: whose trace is continued depends on who asks. */
  readonly filter: Filter = async (request, next) => {
    const span = this.spanOf(request);
    if (span === undefined) return await next(request);
    let response: ApiResponse;
    try {
      response = await this.current.run(span, () => next(request));
    } catch (error) {
      this.answered(span, error instanceof ApiError ? error.code : 500);
      this.end(span);
      throw error;
    }
    this.answered(span, response.code);
    if (response.kind === 'stream') {
      return { ...response, chunks: new Until(response.chunks, () => this.end(span)) };
    }
    this.end(span);
    return response;
  };

  /** Webhooks learn by `traceparent` whose call they answer. */
  readonly calls: CallTracer = {
    begin: (url) => {
      const span = this.child('HTTP POST', SpanKind.Client);
      if (span === undefined) return undefined;
      const { hostname, port, pathname, origin } = new URL(url);
      span.attribute('http.request.method', 'POST');
      span.attribute('server.address', hostname);
      if (port !== '') span.attribute('server.port', Number(port));
      // Queries may hold what is nobody's to know.
      span.attribute('url.full', origin + pathname);
      return {
        headers: {
          traceparent: traceparentOf(span),
          ...(span.start.state === '' ? {} : { tracestate: span.start.state }),
        },
        end: (code) => {
          if (code === undefined) span.errorText = '';
          else this.answered(span, code);
          this.end(span);
        },
      };
    },
  };

  /** The same, and a span for each question to the store. */
  around(inner: StoreRequests): StoreRequests {
    return {
      traffic: (resource) => inner.traffic(resource),
      of: (operation, resource) => {
        const note = inner.of(operation, resource);
        const name = `${operation.charAt(0).toUpperCase()}${operation.slice(1)} etcd3`;
        const { group } = resource;
        const told = group === '' ? resource.resource : `${resource.resource}.${group}`;
        return (seconds, failed) => {
          note(seconds, failed);
          const span = this.child(name, SpanKind.Client, seconds * 1000);
          if (span === undefined) return;
          span.attribute('resource', told);
          if (failed) span.errorText = '';
          this.end(span);
        };
      },
    };
  }

  /** Sends what is left, as far as the collector takes it in time. */
  stop(): Promise<void> {
    return this.exporter.close();
  }

  private spanOf(request: ApiRequest): Span | undefined {
    const { context, headers, info, method } = request;
    const trusted = context.user?.groups.some((group) => TRUSTED.has(group)) ?? false;
    const parent = trusted ? parentOf(request) : undefined;
    const traceId = parent?.traceId ?? this.traceId();
    if (!this.sampler.sampled(parent, traceId)) return undefined;
    const nowMs = this.clock.monotonicMs();
    const span = new Span({
      traceId,
      spanId: this.spanId(),
      parentId: parent?.spanId ?? '',
      remote: parent !== undefined,
      state: parent?.state ?? '',
      name: nameOf(method, info),
      kind: SpanKind.Server,
      epochMs: this.clock.nowMs() - nowMs,
      startMs: context.receivedMs,
    });
    span.attribute('http.request.method', method);
    span.attribute('url.scheme', request.peer.secure ? 'https' : 'http');
    span.attribute('url.path', request.path);
    span.attribute('client.address', request.peer.address);
    span.attribute('user_agent.original', headers.get('user-agent')?.[0] ?? '');
    span.attribute('audit-id', context.auditId);
    return span;
  }

  private child(name: string, kind: SpanKind, beganMsAgo = 0): Span | undefined {
    const parent = this.current.getStore();
    // What a request began and left behind it, as a watch of the store, is not of its trace.
    if (parent === undefined || parent.endMs !== undefined) return undefined;
    return new Span({
      ...parent.start,
      spanId: this.spanId(),
      parentId: parent.start.spanId,
      remote: false,
      name,
      kind,
      startMs: this.clock.monotonicMs() - beganMsAgo,
    });
  }

  private answered(span: Span, code: number): void {
    span.attribute('http.response.status_code', code);
    if (code >= 500) span.errorText = '';
  }

  private end(span: Span): void {
    if (span.endMs !== undefined) return;
    span.endMs = this.clock.monotonicMs();
    this.exporter.add(span);
  }

  /** 32 hex digits. The sampler reads the second half: a UUID's has bits there that are always the same. */
  private traceId(): string {
    const hex = this.uuid().replaceAll('-', '');
    return hex.slice(16) + hex.slice(0, 16);
  }

  /** 16 hex digits; a version of a UUID stands among the others, so that they are never all zero. */
  private spanId(): string {
    return this.uuid().replaceAll('-', '').slice(0, 16);
  }
}

function parentOf({ headers }: ApiRequest): ReturnType<typeof remoteParent> {
  const metadata = new Metadata();
  const [parent] = headers.get('traceparent') ?? [];
  if (parent === undefined) return undefined;
  metadata.addReceived('traceparent', parent);
  for (const state of headers.get('tracestate') ?? []) metadata.addReceived('tracestate', state);
  return remoteParent(metadata);
}

/** `GET /api/v1/namespaces/{:namespace}/pods/{:name}`: no names, so that spans of a kind can be counted. */
function nameOf(method: string, info: RequestInfo): string {
  if (!info.isResource) return method;
  const group = info.group === '' ? '/api' : `/apis/${info.group}`;
  const namespace = info.namespace === '' ? '' : '/namespaces/{:namespace}';
  const name = info.name === '' ? '' : '/{:name}';
  const subresource = info.subresource === '' ? '' : `/${info.subresource}`;
  return `${method} ${group}/${info.version}${namespace}/${info.resource}${name}${subresource}`;
}
