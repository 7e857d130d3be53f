/**
 * The lease by which a server says that it runs and who it is (kube-system/apiserver-…), renewed all the time, and
 * the removal of leases whose servers are long gone.
 *
 * Modelled on kubernetes' apiserver identity: name and holder are made the same way.
 */

import { createHash } from 'node:crypto';

import type { Clock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { count, part, text } from '../validation/value.ts';
import { deleteUnlessChanged, ensure, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

const NAMESPACE = 'kube-system';
const LEASES = { group: 'coordination.k8s.io', resource: 'leases' };
const IDENTITY = 'apiserver.kubernetes.io/identity';
const KUBE_APISERVER = 'kube-apiserver';
const HOSTNAME = 'kubernetes.io/hostname';
/** As the original's flags have it. */
const DURATION_SECONDS = 3_600;
const RENEW_MS = 10_000;

/** `apiserver-` and the host's name as 26 characters of base 32. */
export function apiServerId(hostname: string): string {
  const digest = createHash('sha256').update(hostname).digest().subarray(0, 16);
  return `apiserver-${base32(digest)}`;
}

function base32(bytes: Buffer): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += letters[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + letters[(value << (5 - bits)) & 31];
}

/** @param uuid of this run: another run of the server on the same host is another holder */
export function identityLease(hostname: string, uuid: string, clock: Clock): PostStartHook {
  const id = apiServerId(hostname);
  const holderIdentity = `${id}_${uuid}`;
  return {
    name: 'start-kube-apiserver-identity-lease-controller',
    everyMs: RENEW_MS,
    async run(stores) {
      const spec = {
        holderIdentity,
        leaseDurationSeconds: DURATION_SECONDS,
        renewTime: microTime(clock.nowMs()),
      };
      const labels = { [IDENTITY]: KUBE_APISERVER, [HOSTNAME]: hostname };
      await ensure(
        storeOf(stores, LEASES),
        {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: id, namespace: NAMESPACE, labels },
          spec,
        },
        (stored) => ({
          ...stored,
          metadata: { ...stored.metadata, labels: { ...stored.metadata.labels, ...labels } },
          spec: { ...part(stored, 'spec'), ...spec },
        }),
      );
    },
  };
}

/** Deletes leases of servers that stopped renewing them. */
export function identityLeaseCollector(clock: Clock): PostStartHook {
  return {
    name: 'start-kube-apiserver-identity-lease-garbage-collector',
    everyMs: DURATION_SECONDS * 1_000,
    async run(stores) {
      const store = storeOf(stores, LEASES);
      for (const lease of await store.list(NAMESPACE)) {
        if (lease.metadata.labels?.[IDENTITY] !== KUBE_APISERVER || !isExpired(lease, clock.nowMs()))
          continue;
        // It may be renewed at the last moment.
        await deleteUnlessChanged(store, lease);
      }
    },
  };
}

/** A lease that says neither when nor how long counts as ended. */
function isExpired(lease: KubeObject, nowMs: number): boolean {
  const spec = part(lease, 'spec');
  const renewed = Date.parse(text(spec, 'renewTime'));
  const seconds = count(spec, 'leaseDurationSeconds');
  if (Number.isNaN(renewed) || seconds === 0) return true;
  return renewed + seconds * 1_000 < nowMs;
}

/** RFC 3339 with six digits, as Lease has it. */
export function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}
