/**
 * service-cidr-controller: a ServiceCIDR is marked ready and protected by a finalizer; one that is deleted goes when no
 * Service's address would be left without a range, ten seconds later at the earliest, so that servers that allocate have
 * heard of it.
 *
 * Modelled on kubernetes' pkg/controller/servicecidrs.
 */

import { BlockList, isIP } from 'node:net';

import { hasReason, isDeleting, isRecord, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { withFinalizer, withoutFinalizer } from '../protection/finalizers.ts';
import { IP_ADDRESSES, SERVICE_CIDRS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
const GRACE_MS = 10_000;
const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by=ipallocator.k8s.io';
const READY = {
  type: 'Ready',
  status: 'True',
  reason: '',
  message: 'Kubernetes Service CIDR is ready',
} as const;
const TERMINATING = {
  type: 'Ready',
  status: 'False',
  reason: 'Terminating',
  message:
    'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
} as const;

export function serviceNetworks(parts: ControllerParts): Controller {
  const { client, clock, informers } = parts;
  const cidrs = informers.informer(SERVICE_CIDRS);
  const addresses = informers.informer(IP_ADDRESSES, { metadataOnly: true, labelSelector: MANAGED_BY });

  const show = async (
    cidr: KubeObject,
    condition: typeof READY | typeof TERMINATING,
    signal: AbortSignal,
  ): Promise<void> => {
    const { type, status, reason } = condition;
    const before = conditionsOf(cidr).find((one) => one['type'] === type);
    if (before?.['status'] === status && (before['reason'] ?? '') === reason) return;
    const lastTransitionTime = new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    const applied = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'ServiceCIDR',
      metadata: { name: keyOf(cidr) },
      status: { conditions: [{ ...condition, lastTransitionTime }] },
    };
    await client.patch(SERVICE_CIDRS, '', keyOf(cidr), 'apply', applied, {
      subresource: 'status',
      fieldManager: 'service-cidr-controller',
      force: true,
      signal,
    });
  };

  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const cidr = cidrs.get(key);
    if (cidr === undefined) return 'done';
    try {
      if (!isDeleting(cidr)) {
        if (cidr.metadata.finalizers?.includes(FINALIZER) !== true)
          await withFinalizer(client, SERVICE_CIDRS, cidr, FINALIZER, signal);
        await show(cidr, READY, signal);
        return 'done';
      }
      if (cidr.metadata.finalizers?.includes(FINALIZER) !== true) return 'done';
      if (isNeeded(cidr, [...cidrs.list()], addresses.list())) {
        await show(cidr, TERMINATING, signal);
        return 'done';
      }
      const leftMs = Date.parse(cidr.metadata.deletionTimestamp ?? '') + GRACE_MS - clock.nowMs();
      if (leftMs > 0) return { afterMs: leftMs };
      await withoutFinalizer(client, SERVICE_CIDRS, cidr, FINALIZER, signal);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'service_cidrs', informers: [cidrs, addresses], work });
  // There are few, and each may be what another waits for.
  const lookAtAll = (): void => {
    for (const cidr of cidrs.list()) loop.queue.add(keyOf(cidr));
  };
  const look = (cidr: KubeObject): void => loop.queue.add(keyOf(cidr));
  cidrs.handle({ added: lookAtAll, updated: look, deleted: lookAtAll });
  const lookAtLeaving = ({ metadata }: KubeObject): void => {
    for (const cidr of cidrs.list())
      if (isDeleting(cidr) && rangesOf(cidr).some((range) => holds(range, metadata.name ?? ''))) look(cidr);
  };
  addresses.handle({ added: lookAtLeaving, deleted: lookAtLeaving });
  return loop;
}

function conditionsOf({ status }: KubeObject): readonly Readonly<Record<string, unknown>>[] {
  const conditions = isRecord(status) ? status['conditions'] : undefined;
  return Array.isArray(conditions) ? conditions.filter((one: unknown) => isRecord(one)) : [];
}

/** Whether an address of a Service would be in no range without this one. */
export function isNeeded(
  cidr: KubeObject,
  all: readonly KubeObject[],
  addresses: Iterable<KubeObject>,
): boolean {
  const others = all.filter((one) => keyOf(one) !== keyOf(cidr)).flatMap((one) => rangesOf(one));
  const own = rangesOf(cidr).filter((range) => !others.some((other) => covers(other, range)));
  if (own.length === 0) return false;
  for (const { metadata } of addresses) {
    const name = metadata.name ?? '';
    if (own.some((range) => holds(range, name)) && !others.some((range) => holds(range, name))) return true;
  }
  return false;
}

function rangesOf(cidr: KubeObject): string[] {
  const ranges = isRecord(cidr['spec']) ? cidr['spec']['cidrs'] : undefined;
  return Array.isArray(ranges) ? ranges.filter((one: unknown) => typeof one === 'string') : [];
}

function holds(range: string, address: string): boolean {
  const [base = '', bits = ''] = range.split('/');
  if (isIP(base) === 0 || isIP(base) !== isIP(address)) return false;
  const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(base, Number(bits), family);
  return list.check(address, family);
}

/** Whether every address of `inner` is in `outer`. */
function covers(outer: string, inner: string): boolean {
  const bitsOf = (range: string): number => Number(range.split('/')[1]);
  return bitsOf(outer) <= bitsOf(inner) && holds(outer, inner.split('/')[0] ?? '');
}
