/**
 * legacy-serviceaccount-token-cleaner-controller: tokens that were made for service accounts of their own accord, as
 * clusters did before 1.24, and that nobody has used for a year are first marked invalid, and deleted when another year
 * has passed. Tokens that somebody asked for, or that a Pod mounts, stay. Once a day.
 *
 * Modelled on kubernetes' pkg/controller/serviceaccount.
 */

import {
  hasReason,
  isDeleting,
  isRecord,
  keyOf,
  splitKey,
  WorkQueue,
  type Informer,
  type KubeObject,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS } from '../resources.ts';

const TYPE = 'kubernetes.io/service-account-token';
const NAME_KEY = 'kubernetes.io/service-account.name';
const UID_KEY = 'kubernetes.io/service-account.uid';
const LAST_USED = 'kubernetes.io/legacy-token-last-used';
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';
const TRACKING = 'kube-apiserver-legacy-service-account-token-tracking';
const DAY_MS = 24 * 3_600_000;
const DATE = /^\d{4}-\d\d-\d\d$/;
/** There is one piece of work: look at all. */
const ALL = 'all';

export class LegacyTokenCleaner implements Controller {
  private readonly parts: ControllerParts;
  private readonly unusedMs: number;
  private readonly secrets: Informer;
  private readonly accounts: Informer;
  private readonly queue: WorkQueue<string>;
  private looked = false;

  /** @param unusedMs --legacy-service-account-token-clean-up-period */
  constructor(parts: ControllerParts, unusedMs: number) {
    const { informers, clock, logger, metrics } = parts;
    this.parts = parts;
    this.unusedMs = unusedMs;
    this.secrets = informers.informer(SECRETS, {
      fieldSelector: `type=${TYPE}`,
      purpose: 'legacy tokens',
      // No token is kept.
      transform: ({ metadata }) => ({ metadata }),
    });
    this.accounts = informers.informer(SERVICE_ACCOUNTS, {
      purpose: 'secrets',
      transform: ({ metadata, secrets }) => ({
        metadata: { name: metadata.name ?? '', namespace: metadata.namespace ?? '', uid: metadata.uid ?? '' },
        ...(Array.isArray(secrets) && secrets.length > 0 ? { secrets } : {}),
      }),
    });
    this.queue = new WorkQueue<string>({
      name: 'legacy_token_cleaner',
      clock,
      logger,
      metrics,
      concurrency: 1,
      work: async (_all, signal) => {
        this.looked = false;
        await this.lookAtAll(signal);
        this.looked = true;
        return { afterMs: DAY_MS };
      },
      refill: () => this.queue.add(ALL),
    });
  }

  start(): void {
    void Promise.all([this.secrets.whenSynced(), this.accounts.whenSynced()]).then(() => {
      this.queue.add(ALL);
      this.queue.start();
    });
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  get synced(): boolean {
    return this.secrets.synced && this.accounts.synced;
  }

  /** It only ever waits for the next day. */
  get quiet(): boolean {
    return this.looked;
  }

  private async lookAtAll(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.parts;
    const nowMs = clock.nowMs();
    const sinceMs = await this.trackedSinceMs(signal);
    // The use of tokens was not written down for long enough.
    if (sinceMs === undefined || nowMs < sinceMs + this.unusedMs) return;
    const limitMs = nowMs - this.unusedMs;
    const mounted = new Map<string, ReadonlySet<string>>();
    for (const secret of [...this.secrets.list()]) {
      if (signal.aborted) return;
      if (!this.isForgotten(secret, limitMs)) continue;
      const { namespace, name } = splitKey(keyOf(secret));
      const names = mounted.get(namespace) ?? (await this.mountedIn(namespace, signal));
      mounted.set(namespace, names);
      if (names.has(name)) continue;
      const invalidSince = secret.metadata.labels?.[INVALID_SINCE] ?? '';
      if (!isDate(invalidSince)) {
        logger.info('a service account token of old is marked invalid', { secret: keyOf(secret) });
        await this.mark(secret, dateOf(nowMs), signal);
      } else if (invalidSince < dateOf(limitMs)) {
        logger.info('a service account token of old is deleted', { secret: keyOf(secret), invalidSince });
        await this.delete(secret, signal);
      }
    }
  }

  /** The day after use began to be written down, ms; undefined while it is not. */
  private async trackedSinceMs(signal: AbortSignal): Promise<number | undefined> {
    try {
      const { data } = await this.parts.client.get(CONFIG_MAPS, 'kube-system', TRACKING, { signal });
      const since = isRecord(data) ? data['since'] : undefined;
      return typeof since === 'string' && isDate(since) ? Date.parse(since) + DAY_MS : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Old, unused, and made by the account's own loop as far as can be told. */
  private isForgotten(secret: KubeObject, limitMs: number): boolean {
    const { namespace = '', name = '', creationTimestamp, labels = {}, annotations = {} } = secret.metadata;
    if (isDeleting(secret) || !(Date.parse(creationTimestamp ?? '') < limitMs)) return false;
    const lastUsed = labels[LAST_USED];
    if (lastUsed !== undefined && (!isDate(lastUsed) || lastUsed >= dateOf(limitMs))) return false;
    const account = this.accounts.get(`${namespace}/${annotations[NAME_KEY] ?? ''}`);
    const uid = annotations[UID_KEY] ?? '';
    if (account === undefined || (uid !== '' && uid !== account.metadata.uid)) return false;
    const { secrets } = account;
    return Array.isArray(secrets) && secrets.some((one: unknown) => isRecord(one) && one['name'] === name);
  }

  /** Names of Secrets that Pods of a namespace refer to. */
  private async mountedIn(namespace: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    let next: string | undefined;
    do {
      const { items, metadata } = await this.parts.client.list(PODS, namespace, {
        limit: 500,
        ...(next === undefined ? {} : { continue: next }),
        signal,
      });
      for (const pod of items) collectSecretNames(pod['spec'], names);
      next = metadata.continue === '' ? undefined : metadata.continue;
    } while (next !== undefined);
    return names;
  }

  private async mark({ metadata }: KubeObject, date: string, signal: AbortSignal): Promise<void> {
    const { namespace = '', name = '', uid } = metadata;
    const patch = { metadata: { uid, labels: { [INVALID_SINCE]: date } } };
    await this.unlessChanged(() =>
      this.parts.client.patch(SECRETS, namespace, name, 'merge', patch, { metadataOnly: true, signal }),
    );
  }

  private async delete({ metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    const { namespace = '', name = '', resourceVersion } = metadata;
    const only = resourceVersion === undefined ? {} : { preconditions: { resourceVersion } };
    await this.unlessChanged(() => this.parts.client.delete(SECRETS, namespace, name, only, signal));
  }

  /** What has changed is looked at again the next day. */
  private async unlessChanged(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

/** Every place of a Pod's spec that names a Secret: secretName, and the name in …SecretRef, …secretKeyRef and their kin. */
function collectSecretNames(value: unknown, names: Set<string>): void {
  if (Array.isArray(value)) {
    for (const one of value) collectSecretNames(one, names);
    return;
  }
  if (!isRecord(value)) return;
  for (const [field, one] of Object.entries(value)) {
    if (field === 'secretName' && typeof one === 'string') names.add(one);
    const refers = /secret(Key)?Ref$|SecretRef$/i.test(field) || field === 'secret';
    if (refers && isRecord(one) && typeof one['name'] === 'string') names.add(one['name']);
    if (field === 'imagePullSecrets' && Array.isArray(one)) {
      for (const secret of one)
        if (isRecord(secret) && typeof secret['name'] === 'string') names.add(secret['name']);
    }
    collectSecretNames(one, names);
  }
}

function isDate(text: string): boolean {
  return DATE.test(text) && !Number.isNaN(Date.parse(text));
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
