/**
 * Carries out a plan for slices, and knows what it has written until the watch shows it: a plan made of a state that is
 * older than one's own writes would make the same slices again.
 */

import {
  hasCause,
  hasReason,
  keyOf,
  type Informer,
  type KubeObject,
  type RestClient,
} from '@keelson/kube-client';

import { ENDPOINT_SLICES } from '../resources.ts';
import type { SlicePlan } from './slice-plan.ts';

/** A watch that lags longer is not waited for. */
const WAITS_MAX = 100;
export const LAG_MS = 50;

export class SliceWrites {
  private readonly client: RestClient;
  private readonly slices: Informer;
  /** By service: names of slices, and the version that the watch has to show; undefined: that it is gone. */
  private readonly expected = new Map<string, Map<string, bigint | undefined>>();
  private readonly waits = new Map<string, number>();
  private readonly serviceOf: (slice: KubeObject) => string;

  /** @param serviceOf the key by which a slice's plans are made */
  constructor(client: RestClient, slices: Informer, serviceOf: (slice: KubeObject) => string) {
    this.client = client;
    this.slices = slices;
    this.serviceOf = serviceOf;
    slices.handle({
      added: (slice) => this.seen(slice),
      updated: (slice) => this.seen(slice),
      deleted: (slice) => this.gone(slice),
    });
  }

  /** Whether the watch has not shown yet what was written for a service. */
  lags(service: string): boolean {
    if (!this.expected.has(service)) {
      this.waits.delete(service);
      return false;
    }
    const waits = (this.waits.get(service) ?? 0) + 1;
    this.waits.set(service, waits);
    if (waits <= WAITS_MAX) return true;
    this.expected.delete(service);
    this.waits.delete(service);
    return false;
  }

  /** @returns whether all was written; what changed meanwhile is planned anew */
  async carryOut(service: string, plan: SlicePlan, signal: AbortSignal): Promise<boolean> {
    const { client } = this;
    try {
      for (const slice of plan.create) {
        const made = await client.create(ENDPOINT_SLICES, slice.metadata.namespace ?? '', slice, { signal });
        this.expect(service, made, true);
      }
      for (const slice of plan.update) {
        const { namespace = '', resourceVersion } = slice.metadata;
        const made = await client.update(ENDPOINT_SLICES, namespace, slice, { signal });
        if (made.metadata.resourceVersion !== resourceVersion) this.expect(service, made, true);
      }
      for (const slice of plan.delete) {
        const { namespace = '', name = '', uid } = slice.metadata;
        const only = uid === undefined ? {} : { preconditions: { uid } };
        await client.delete(ENDPOINT_SLICES, namespace, name, only, signal);
        this.expect(service, slice, false);
      }
      return true;
    } catch (error) {
      if (hasCause(error, 'NamespaceTerminating')) return true;
      if (hasReason(error, 'Conflict', 'NotFound')) return false;
      throw error;
    }
  }

  forget(service: string): void {
    this.expected.delete(service);
    this.waits.delete(service);
  }

  private expect(service: string, slice: KubeObject, there: boolean): void {
    const known = this.slices.get(keyOf(slice));
    // The watch may be faster than the answer.
    const shown = there ? known !== undefined && versionOf(known) >= versionOf(slice) : known === undefined;
    if (shown) return;
    const own = this.expected.get(service) ?? new Map<string, bigint | undefined>();
    this.expected.set(service, own);
    own.set(keyOf(slice), there ? versionOf(slice) : undefined);
  }

  private seen(slice: KubeObject): void {
    const service = this.serviceOf(slice);
    const own = this.expected.get(service);
    const version = own?.get(keyOf(slice));
    if (own === undefined || version === undefined || versionOf(slice) < version) return;
    own.delete(keyOf(slice));
    if (own.size === 0) this.expected.delete(service);
  }

  private gone(slice: KubeObject): void {
    const service = this.serviceOf(slice);
    const own = this.expected.get(service);
    own?.delete(keyOf(slice));
    if (own?.size === 0) this.expected.delete(service);
  }
}

function versionOf({ metadata }: KubeObject): bigint {
  return BigInt(metadata.resourceVersion ?? '0');
}
