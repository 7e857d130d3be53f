/**
 * From a service to where it is reached: the address of the service, or with --enable-aggregator-routing one of the
 * addresses behind it. Follows services and endpoint slices from the first time that somebody asks: a cluster without
 * aggregated APIs keeps none of them here.
 *
 * Modelled on apiserver's util/proxy ResolveCluster and ResolveEndpoint.
 */

import type { Clock, Logger } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { Informer } from '../informer/informer.ts';
import { ObjectCache } from '../informer/object-cache.ts';
import type { Scheme } from '../registry/scheme.ts';
import { count, part, partOf, parts, text, texts } from '../validation/value.ts';
import type { ServiceReference } from './remote-api.ts';

export interface ServiceResolverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** --enable-aggregator-routing. */
  readonly toEndpoints: boolean;
  readonly random: (limit: number) => number;
  /** Is told that a service, or what is behind one, is another now. */
  readonly changed: (namespace: string, service: string) => void;
}

/** Where to connect. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Label of the service that a slice is of. */
const OF_SERVICE = 'kubernetes.io/service-name';
const ROUTABLE: ReadonlySet<string> = new Set(['ClusterIP', 'LoadBalancer', 'NodePort']);

export class ServiceResolver {
  private readonly options: ServiceResolverOptions;
  private readonly services = new ObjectCache();
  private readonly slices = new ObjectCache();
  private informers: readonly Informer[] = [];
  private following = false;

  constructor(options: ServiceResolverOptions) {
    this.options = options;
  }

  /** Begins to follow, once; resolves when the state was seen. */
  async follow(scheme: Scheme): Promise<void> {
    if (!this.following) {
      this.following = true;
      const { changed } = this.options;
      const { services, slices } = this;
      this.informers = [
        this.informer(scheme, '', 'services', {
          put: (object) => {
            services.put(object);
            changed(object.metadata.namespace ?? '', object.metadata.name ?? '');
          },
          remove: (namespace, name) => {
            services.remove(namespace, name);
            changed(namespace, name);
          },
        }),
        this.informer(scheme, 'discovery.k8s.io', 'endpointslices', {
          put: (object) => {
            slices.put(object);
            changed(object.metadata.namespace ?? '', serviceOf(object));
          },
          remove: (namespace, name) => {
            const gone = slices.get(namespace, name);
            slices.remove(namespace, name);
            if (gone !== undefined) changed(namespace, serviceOf(gone));
          },
        }),
      ].filter((informer) => informer !== undefined);
      for (const informer of this.informers) informer.start();
    }
    await Promise.all(this.informers.map((informer) => informer.whenSynced()));
  }

  /** Whether services and what is behind them are known. */
  get synced(): boolean {
    return this.following && this.informers.every(({ synced }) => synced);
  }

  async stop(): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.stop()));
  }

  service({ namespace, name }: ServiceReference): KubeObject | undefined {
    return this.services.get(namespace, name);
  }

  slicesOf({ namespace, name }: ServiceReference): KubeObject[] {
    return this.slices.list(namespace).filter((slice) => serviceOf(slice) === name);
  }

  /** @throws Error with the original's text where it leads nowhere */
  resolve(reference: ServiceReference): Place {
    const service = this.service(reference);
    if (service === undefined) throw new Error(`service ${JSON.stringify(reference.name)} not found`);
    const { toEndpoints, random } = this.options;
    if (!toEndpoints) return clusterPlace(service, reference);
    const places = endpointPlaces(service, this.slicesOf(reference), reference);
    return places[random(places.length)];
  }

  private informer(
    scheme: Scheme,
    group: string,
    resource: string,
    handler: Pick<ObjectCache, 'put' | 'remove'>,
  ): Informer | undefined {
    const source = scheme.store({ group, resource });
    if (source === undefined) return undefined;
    const { clock, logger } = this.options;
    return new Informer({ name: `${resource} of aggregated APIs`, source, handler, clock, logger });
  }
}

/** The service's own address; where it is another's name, that name. */
export function clusterPlace(service: KubeObject, { port }: ServiceReference): Place {
  const spec = part(service, 'spec');
  const type = text(spec, 'type');
  const address = text(spec, 'clusterIP');
  if (type === 'ClusterIP' && address === 'None') {
    throw new Error('cannot route to service with ClusterIP "None"');
  }
  if (ROUTABLE.has(type)) {
    servicePort(service, port);
    return { host: address, port };
  }
  if (type === 'ExternalName') return { host: text(spec, 'externalName'), port };
  throw new Error(`unsupported service type ${JSON.stringify(type)}`);
}

/** All addresses behind a service that take what is sent to its port; at least one. */
export function endpointPlaces(
  service: KubeObject,
  slices: readonly KubeObject[],
  { name, port }: ServiceReference,
): Place[] {
  const portName = servicePort(service, port);
  const type = text(part(service, 'spec'), 'type');
  if (!ROUTABLE.has(type)) throw new Error(`unsupported service type ${JSON.stringify(type)}`);
  const places = slices.flatMap((slice) => {
    const found = parts(slice, 'ports').find((each) => text(each, 'name') === portName);
    if (found === undefined) return [];
    return parts(slice, 'endpoints')
      .filter(isReady)
      .flatMap((endpoint) => texts(endpoint, 'addresses').slice(0, 1))
      .map((host) => ({ host, port: count(found, 'port') }));
  });
  if (places.length === 0) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  return places;
}

/** Whether anything behind the service takes what is sent to that port. */
export function hasEndpoint(slices: readonly KubeObject[], portName: string): boolean {
  return slices.some(
    (slice) =>
      parts(slice, 'endpoints').some(isReady) &&
      parts(slice, 'ports').some((each) => text(each, 'name') === portName && count(each, 'port') > 0),
  );
}

/** @returns the port's name, empty where it has none; undefined where the service has no such port */
export function portNameOf(service: KubeObject, port: number): string | undefined {
  const found = parts(part(service, 'spec'), 'ports').find((each) => count(each, 'port') === port);
  return found && text(found, 'name');
}

function servicePort(service: KubeObject, port: number): string {
  const name = portNameOf(service, port);
  if (name === undefined) {
    throw new Error(
      `no service port ${port} found for service ${JSON.stringify(service.metadata.name ?? '')}`,
    );
  }
  return name;
}

/** Nothing said counts as ready. */
function isReady(endpoint: Parameters<typeof partOf>[0]): boolean {
  return partOf(endpoint, 'conditions')?.['ready'] !== false;
}

function serviceOf(slice: KubeObject): string {
  return slice.metadata.labels?.[OF_SERVICE] ?? '';
}
