/**
 * An APIService that names another server, read once: what is asked of it at every request. Local ones are none.
 *
 * Modelled on kube-aggregator's proxyHandlingInfo.
 */

import type { KubeObject } from '../api/meta.ts';
import { count, flag, part, partOf, parts, text } from '../validation/value.ts';

/** Which port of which service. */
export interface ServiceReference {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface RemoteApi {
  /** `v1beta1.metrics.k8s.io`. */
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly service: ServiceReference;
  /** PEM; empty: the system's authorities. */
  readonly caBundle: string;
  /** insecureSkipTLSVerify. */
  readonly unverified: boolean;
  /** Its condition says that it answers. */
  readonly available: boolean;
}

const HTTPS = 443;

/** @returns undefined for one that this server answers for itself */
export function remoteApi(object: KubeObject): RemoteApi | undefined {
  const spec = part(object, 'spec');
  const service = partOf(spec, 'service');
  if (service === undefined) return undefined;
  const port = count(service, 'port');
  return {
    name: object.metadata.name ?? '',
    group: text(spec, 'group'),
    version: text(spec, 'version'),
    groupPriority: count(spec, 'groupPriorityMinimum'),
    versionPriority: count(spec, 'versionPriority'),
    service: {
      namespace: text(service, 'namespace'),
      name: text(service, 'name'),
      port: port === 0 ? HTTPS : port,
    },
    caBundle: Buffer.from(text(spec, 'caBundle'), 'base64').toString('utf8'),
    unverified: flag(spec, 'insecureSkipTLSVerify'),
    available: isAvailable(object),
  };
}

export function isAvailable(object: KubeObject): boolean {
  return parts(part(object, 'status'), 'conditions').some(
    (condition) => text(condition, 'type') === 'Available' && text(condition, 'status') === 'True',
  );
}

/** Where its paths begin: `/apis/G/V`, and `/api` for the legacy group. */
export function pathOf({ group, version }: Pick<RemoteApi, 'group' | 'version'>): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}
