/**
 * From the endpoints a Service should have, and the slices there are, to the fewest writes that make one of the other: an
 * endpoint stays in its slice, slices that change anyway take what is new, and what would be deleted is used again. Pure.
 *
 * Modelled on k8s.io/endpointslice's reconciler.
 */

import type { KubeObject, OwnerReference } from '@keelson/kube-client';

import { fieldsOf, fingerprint, listOf, textOf, type Family } from './backends.ts';

export type Endpoint = Readonly<Record<string, unknown>>;

/** Endpoints that can lie in one slice: of one family, behind the same ports. */
export interface EndpointGroup {
  readonly family: Family;
  readonly ports: readonly Readonly<Record<string, unknown>>[];
  readonly endpoints: readonly Endpoint[];
}

/** A group that is being put together. */
export interface GrowingGroup extends EndpointGroup {
  readonly endpoints: Endpoint[];
}

/** What a slice is beside its endpoints. */
export interface SliceFrame {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: OwnerReference;
  readonly namespace: string;
  readonly generateName: string;
}

export interface SlicePlan {
  readonly create: readonly KubeObject[];
  readonly update: readonly KubeObject[];
  readonly delete: readonly KubeObject[];
}

interface Draft {
  readonly slice: KubeObject;
  endpoints: Endpoint[];
  changed: boolean;
}

/**
 * @param families of the Service; slices of another family go
 * @param endpointsMax of a slice
 * @param placeholder whether a family without endpoints has an empty slice
 */
export function planSlices(
  existing: readonly KubeObject[],
  groups: readonly EndpointGroup[],
  frame: SliceFrame,
  families: readonly Family[],
  endpointsMax: number,
  placeholder: boolean,
): SlicePlan {
  const plan = { create: [] as KubeObject[], update: [] as KubeObject[], delete: [] as KubeObject[] };
  for (const slice of existing) {
    if (!families.some((family) => family === slice['addressType'])) plan.delete.push(slice);
  }
  for (const family of families) {
    const own = existing.filter((slice) => slice['addressType'] === family);
    const wanted = groups.filter((group) => group.family === family);
    planFamily(plan, own, wanted, frame, family, endpointsMax, placeholder);
  }
  return plan;
}

function planFamily(
  plan: { create: KubeObject[]; update: KubeObject[]; delete: KubeObject[] },
  existing: readonly KubeObject[],
  groups: readonly EndpointGroup[],
  frame: SliceFrame,
  family: Family,
  endpointsMax: number,
  placeholder: boolean,
): void {
  const free: KubeObject[] = [];
  const fresh: { readonly ports: EndpointGroup['ports']; readonly endpoints: readonly Endpoint[] }[] = [];
  const byPorts = new Map<string, KubeObject[]>();
  for (const slice of existing) {
    const key = portsKey(listOf(slice['ports']));
    byPorts.set(key, [...(byPorts.get(key) ?? []), slice]);
  }
  let kept = 0;
  for (const { ports, endpoints } of groups) {
    if (endpoints.length === 0) continue;
    const key = portsKey(ports);
    const drafts = (byPorts.get(key) ?? []).map((slice) => draftOf(slice, frame));
    byPorts.delete(key);
    const left = settle(drafts, endpoints);
    fill(drafts, left, endpointsMax);
    for (const { slice, endpoints: now, changed } of drafts) {
      if (now.length === 0) {
        free.push(slice);
        continue;
      }
      kept += 1;
      if (changed) plan.update.push(dressed(slice, frame, ports, now));
    }
    for (let at = 0; at < left.length; at += endpointsMax)
      fresh.push({ ports, endpoints: left.slice(at, at + endpointsMax) });
  }
  for (const slices of byPorts.values()) free.push(...slices);
  if (kept === 0 && fresh.length === 0 && placeholder) {
    const empty = free.findIndex((slice) => isEmpty(slice) && !needsDress(slice, frame));
    if (empty >= 0) free.splice(empty, 1);
    else fresh.push({ ports: [], endpoints: [] });
  }
  for (const { ports, endpoints } of fresh) {
    const used = free.shift();
    if (used === undefined) plan.create.push(newSlice(frame, family, ports, endpoints));
    else plan.update.push(dressed(used, frame, ports, endpoints));
  }
  plan.delete.push(...free);
}

/** Endpoints that are wanted stay where they are, in their newest form. @returns those that lie nowhere yet */
function settle(drafts: readonly Draft[], wanted: readonly Endpoint[]): Endpoint[] {
  const left = new Map(wanted.map((endpoint) => [identity(endpoint), endpoint]));
  for (const draft of drafts) {
    const now: Endpoint[] = [];
    for (const endpoint of draft.endpoints) {
      const key = identity(endpoint);
      const next = left.get(key);
      left.delete(key);
      if (next === undefined) draft.changed = true;
      else {
        now.push(next);
        if (fingerprint(next) !== fingerprint(endpoint)) draft.changed = true;
      }
    }
    draft.endpoints = now;
  }
  return [...left.values()];
}

/** Puts what is left into slices that have room: those that change anyway, else one that takes all of it. */
function fill(drafts: readonly Draft[], left: Endpoint[], endpointsMax: number): void {
  for (const draft of drafts) {
    if (!draft.changed || draft.endpoints.length === 0) continue;
    draft.endpoints.push(...left.splice(0, endpointsMax - draft.endpoints.length));
  }
  if (left.length === 0) return;
  const rest = left.length % endpointsMax;
  // The fullest that takes what no whole slice is made of.
  const fitting = drafts
    .filter(({ changed, endpoints }) => !changed && endpoints.length + rest <= endpointsMax)
    .toSorted((a, b) => b.endpoints.length - a.endpoints.length)
    .at(0);
  if (fitting === undefined || rest === 0) return;
  fitting.endpoints.push(...left.splice(0, rest));
  fitting.changed = true;
}

function draftOf(slice: KubeObject, frame: SliceFrame): Draft {
  return { slice, endpoints: [...listOf(slice['endpoints'])], changed: needsDress(slice, frame) };
}

function identity({ addresses, targetRef, hostname }: Endpoint): string {
  return fingerprint([addresses, hostname, textOf(fieldsOf(targetRef)['uid'])]);
}

function portsKey(ports: EndpointGroup['ports']): string {
  return ports
    .map((port) => fingerprint(port))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join();
}

function isEmpty(slice: KubeObject): boolean {
  return listOf(slice['endpoints']).length === 0 && listOf(slice['ports']).length === 0;
}

function needsDress({ metadata }: KubeObject, { labels, annotations, owner }: SliceFrame): boolean {
  return (
    fingerprint(metadata.labels ?? {}) !== fingerprint(labels) ||
    (annotations !== undefined && fingerprint(metadata.annotations ?? {}) !== fingerprint(annotations)) ||
    !(metadata.ownerReferences ?? []).some(({ uid }) => uid === owner.uid)
  );
}

function dressed(
  slice: KubeObject,
  { labels, annotations, owner }: SliceFrame,
  ports: EndpointGroup['ports'],
  endpoints: readonly Endpoint[],
): KubeObject {
  const metadata = { ...slice.metadata, labels, ownerReferences: [owner] };
  return {
    ...slice,
    metadata: annotations === undefined ? metadata : { ...metadata, annotations },
    ports,
    endpoints,
  };
}

function newSlice(
  { labels, annotations, owner, namespace, generateName }: SliceFrame,
  family: Family,
  ports: EndpointGroup['ports'],
  endpoints: readonly Endpoint[],
): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName,
      namespace,
      labels,
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [owner],
    },
    addressType: family,
    ports,
    endpoints,
  };
}
