/**
 * Other servers' APIs as part of this one: which there are, whether they answer, what they serve, and what becomes of
 * requests for them. Made before the server, whose paths ask here; started with its scheme. A cluster without any costs
 * one look at a number per request.
 *
 * Modelled on kube-aggregator.
 */

import { pause, type Clock, type Logger } from '@keelson/base';

import type { ApiRequest, Handler } from '../api/exchange.ts';
import { Informer } from '../informer/informer.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';
import type { Scheme } from '../registry/scheme.ts';
import { AvailabilityMetrics } from './availability-metrics.ts';
import { Availability } from './availability.ts';
import { identityHeaders, type RequestHeaderNames } from './identity.ts';
import { AggregationProxy } from './proxy.ts';
import { RegisteredApis } from './registered-apis.ts';
import { RemoteCaller, type RemoteCallerOptions } from './remote-caller.ts';
import { RemoteCatalog } from './remote-catalog.ts';
import { RemoteOpenApi, type Trim } from './remote-open-api.ts';
import { ServiceResolver } from './service-resolver.ts';

export interface AggregationOptions extends Pick<
  RemoteCallerOptions,
  'pair' | 'rejectRedirects' | 'timeoutMs' | 'isEndless'
> {
  readonly caller: BackendCaller;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly random: (limit: number) => number;
  /** --enable-aggregator-routing. */
  readonly toEndpoints: boolean;
  /** What is kept of an OpenAPI document. */
  readonly trim: Trim;
  /** --requestheader-*; X-Remote-User and its kin without. */
  readonly requestHeader: RequestHeaderNames | undefined;
}

const API_SERVICES = { group: 'apiregistration.k8s.io', resource: 'apiservices' };
/** A request that comes in the first moments after a start waits so long for services to be known. */
const READY_MS = 5_000;

export class Aggregation {
  readonly catalog: RemoteCatalog;
  readonly openApi: RemoteOpenApi;
  private readonly options: AggregationOptions;
  private readonly apis: RegisteredApis;
  private readonly resolver: ServiceResolver;
  private readonly availability: Availability;
  private readonly proxy: AggregationProxy;
  private scheme: Scheme | undefined = undefined;
  private informer: Informer | undefined = undefined;
  private readonly stopping = new AbortController();

  constructor(options: AggregationOptions) {
    const { caller, clock, logger, metrics, random, toEndpoints, requestHeader } = options;
    this.options = options;
    const apis = new RegisteredApis((name, otherwise) => this.changed(name, otherwise));
    const resolver = new ServiceResolver({
      clock,
      logger,
      toEndpoints,
      random,
      changed: (namespace, service) => this.availability.lookAtService(namespace, service),
    });
    const remote = new RemoteCaller({
      ...options,
      caller,
      resolver,
      identity: identityHeaders(requestHeader),
    });
    const ready = (): Promise<void> => this.servicesKnown();
    this.apis = apis;
    this.resolver = resolver;
    this.availability = new Availability({
      apis,
      caller: remote,
      resolver,
      clock,
      logger,
      metrics: new AvailabilityMetrics(metrics),
    });
    this.openApi = new RemoteOpenApi(remote, options.trim, logger);
    const { openApi } = this;
    this.catalog = new RemoteCatalog({ apis, caller: remote, clock, logger, ready, openApi });
    this.proxy = new AggregationProxy({ apis, caller: remote, logger, ready, openApi });
  }

  /** Another number after each change of an APIService. */
  get changes(): number {
    return this.apis.changes;
  }

  start(scheme: Scheme): void {
    const store = scheme.store(API_SERVICES);
    if (store === undefined) return;
    const { clock, logger } = this.options;
    this.scheme = scheme;
    this.informer = new Informer({
      name: 'apiservices.apiregistration.k8s.io',
      source: store,
      handler: this.apis,
      clock,
      logger,
    });
    this.informer.start();
    this.availability.start(store);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all([this.informer?.stop(), this.resolver.stop()]);
    await Promise.all([this.availability.stop(), this.catalog.stop()]);
  }

  /** @returns undefined for what this server answers itself */
  handlerOf(request: ApiRequest): Handler | undefined {
    return this.proxy.handlerOf(request);
  }

  private changed(name: string, otherwise: boolean): void {
    if (this.stopping.signal.aborted) return;
    const remote = this.apis.isRemote(name);
    // What this server says of itself needs no services.
    if (!remote) {
      if (otherwise) this.availability.look(name);
    } else if (this.resolver.synced) {
      if (otherwise) this.availability.look(name);
    } else {
      void this.servicesKnown().then(() => this.availability.look(name));
    }
    if (remote || this.catalog.knows(name)) this.catalog.refresh(name);
  }

  private async servicesKnown(): Promise<void> {
    const { scheme, resolver } = this;
    const { signal } = this.stopping;
    if (resolver.synced || scheme === undefined || signal.aborted) return;
    const known = new AbortController();
    void resolver.follow(scheme).then(() => known.abort());
    await pause(this.options.clock, READY_MS, AbortSignal.any([known.signal, signal]));
  }
}
