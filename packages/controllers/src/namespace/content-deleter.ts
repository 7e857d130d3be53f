/**
 * Empties a namespace that is being deleted and takes its finalizer: every resource that lies in namespaces and can be
 * deleted, found by discovery, pods before all others; then what is left is counted, the conditions are written, and
 * when nothing is left the namespace may go.
 *
 * Modelled on kubernetes' namespaced resources deleter, order of pods included; a resource that has nothing is only
 * listed, and resources are emptied a few at a time instead of one.
 */

import type { Clock } from '@keelson/base';
import {
  describeResource,
  discoveryFailure,
  hasReason,
  isDeleting,
  isRecord,
  KubeError,
  type Discovery,
  type KubeObject,
  type RestClient,
  type Served,
  type ServedResource,
} from '@keelson/kube-client';

import { NAMESPACES, PODS } from '../resources.ts';
import { conditionsOf, laidOver, type Sweep } from './conditions.ts';

/** How long what waits for finalizers is expected to take; as the original. */
const FINALIZER_SECONDS = 15;
/** Resources that are emptied at the same time. */
const ABREAST = 4;
const PAGE = 500;
const FINALIZER = 'kubernetes';

/** What of a resource was left. */
interface Left {
  readonly resource: ServedResource;
  readonly count: number;
  readonly seconds: number;
  readonly finalizers: ReadonlyMap<string, number>;
  readonly failure?: string;
}

/** How a sweep ended. */
export type Swept =
  /** The namespace is gone, or nobody deletes it, or others' finalizers hold it. */
  | { readonly kind: 'done' }
  /** Content waits for somebody; a guess how long. */
  | { readonly kind: 'remaining'; readonly seconds: number };

export class ContentDeleter {
  private readonly client: RestClient;
  private readonly discovery: Discovery;
  private readonly clock: Clock;

  constructor(client: RestClient, discovery: Discovery, clock: Clock) {
    this.client = client;
    this.discovery = discovery;
    this.clock = clock;
  }

  /**
   * One sweep.
   *
   * @throws KubeError when something could not be deleted, listed or discovered; the conditions say what
   */
  async sweep(name: string, signal: AbortSignal): Promise<Swept> {
    const found = await this.read(name, signal);
    if (found === undefined || !isDeleting(found)) return { kind: 'done' };
    const namespace = await this.withConflicts(found, signal, (latest) => this.terminating(latest, signal));
    if (namespace === undefined || !isDeleting(namespace) || finalizersOf(namespace).length === 0) {
      return { kind: 'done' };
    }
    const { namespace: after, seconds } = await this.empty(namespace, signal);
    if (seconds > 0) return { kind: 'remaining', seconds };
    await this.withConflicts(after, signal, (latest) => this.finalize(latest, signal));
    return { kind: 'done' };
  }

  private async read(name: string, signal: AbortSignal): Promise<KubeObject | undefined> {
    try {
      return await this.client.get(NAMESPACES, '', name, { signal });
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Acts on the newest state, again when somebody else wrote; undefined when the namespace is gone. */
  private async withConflicts(
    namespace: KubeObject,
    signal: AbortSignal,
    act: (latest: KubeObject) => Promise<KubeObject>,
  ): Promise<KubeObject | undefined> {
    let latest = namespace;
    for (;;) {
      try {
        return await act(latest);
      } catch (error) {
        if (hasReason(error, 'NotFound')) return undefined;
        if (!hasReason(error, 'Conflict')) throw error;
        const next = await this.read(namespace.metadata.name ?? '', signal);
        if (next === undefined || next.metadata.uid !== namespace.metadata.uid) return undefined;
        latest = next;
      }
    }
  }

  private async terminating(namespace: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const status = isRecord(namespace['status']) ? namespace['status'] : {};
    if (!isDeleting(namespace) || status['phase'] === 'Terminating') return namespace;
    return await this.client.update(
      NAMESPACES,
      '',
      { ...namespace, status: { ...status, phase: 'Terminating' } },
      { subresource: 'status', signal },
    );
  }

  private async finalize(namespace: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const finalizers = finalizersOf(namespace);
    if (!finalizers.includes(FINALIZER)) return namespace;
    return await this.client.update(
      NAMESPACES,
      '',
      { ...namespace, spec: { finalizers: finalizers.filter((one) => one !== FINALIZER) } },
      { subresource: 'finalize', signal },
    );
  }

  private async empty(
    namespace: KubeObject,
    signal: AbortSignal,
  ): Promise<{ readonly namespace: KubeObject; readonly seconds: number }> {
    const failures: string[] = [];
    let discovered: Sweep['discoveryFailure'];
    let served: Served | undefined;
    try {
      served = await this.discovery.refresh(signal);
      if (served.failures.size > 0) {
        discovered = { message: discoveryFailure(served), groups: served.failures.size };
      }
    } catch (error) {
      if (!(error instanceof KubeError) || signal.aborted) throw error;
      discovered = { message: error.message, groups: 0 };
    }
    const resources = (served?.preferred ?? []).filter(
      ({ namespaced, verbs }) => namespaced && verbs.includes('delete'),
    );
    const pods = resources.filter(
      ({ group, resource }) => group === PODS.group && resource === PODS.resource,
    );
    let left = await this.emptyAll(namespace, pods, signal);
    // What pods need to end well stays until they have.
    if (left.every(({ count, failure }) => count === 0 && failure === undefined)) {
      const others = resources.filter((resource) => !pods.includes(resource));
      left = [...left, ...(await this.emptyAll(namespace, others, signal))];
    }
    const finalizers = new Map<string, number>();
    for (const one of left) {
      if (one.failure !== undefined) failures.push(one.failure);
      for (const [name, count] of one.finalizers) finalizers.set(name, (finalizers.get(name) ?? 0) + count);
    }
    const after = await this.report(
      namespace,
      {
        ...(discovered === undefined ? {} : { discoveryFailure: discovered }),
        failures,
        remaining: left.filter(({ count }) => count > 0),
        finalizers,
      },
      signal,
    );
    const errors = [...(discovered === undefined ? [] : [discovered.message]), ...failures];
    if (errors.length > 0) throw new KubeError('STATUS', errors.join(', '));
    return { namespace: after, seconds: Math.max(0, ...left.map(({ seconds }) => seconds)) };
  }

  private async emptyAll(
    namespace: KubeObject,
    resources: readonly ServedResource[],
    signal: AbortSignal,
  ): Promise<Left[]> {
    const left: Left[] = [];
    const todo = [...resources];
    const worker = async (): Promise<void> => {
      for (let resource = todo.shift(); resource !== undefined; resource = todo.shift()) {
        left.push(await this.emptyResource(namespace, resource, signal));
      }
    };
    await Promise.all(Array.from({ length: ABREAST }, worker));
    return left;
  }

  private async emptyResource(
    namespace: KubeObject,
    resource: ServedResource,
    signal: AbortSignal,
  ): Promise<Left> {
    const nothing: Left = { resource, count: 0, seconds: 0, finalizers: new Map() };
    const name = namespace.metadata.name ?? '';
    try {
      const before = await this.items(resource, name, signal);
      if (before?.length === 0) return nothing;
      const seconds = isPods(resource) ? await this.graceSeconds(namespace, signal) : 0;
      await this.deleteItems(resource, name, before, signal);
      const after = await this.items(resource, name, signal);
      if (after === undefined || after.length === 0)
        return { ...nothing, seconds: after === undefined ? seconds : 0 };
      const finalizers = new Map<string, number>();
      for (const { metadata } of after) {
        for (const one of metadata.finalizers ?? []) finalizers.set(one, (finalizers.get(one) ?? 0) + 1);
      }
      const left = { resource, count: after.length, finalizers };
      if (seconds > 0) return { ...left, seconds };
      if (finalizers.size > 0) return { ...left, seconds: FINALIZER_SECONDS };
      return {
        ...left,
        seconds: 0,
        failure: `unexpected items still remain in namespace: ${name} for gvr: ${resource.group}/${resource.version}, Resource=${resource.resource}`,
      };
    } catch (error) {
      if (!(error instanceof KubeError) || signal.aborted) throw error;
      const failure = isPods(resource)
        ? `failed to delete pods for namespace: ${name}, err: ${error.message}`
        : `${describeResource(resource)}: ${error.message}`;
      return { ...nothing, failure };
    }
  }

  /** The metadata of what is there; undefined for a resource that cannot be listed. */
  private async items(
    resource: ServedResource,
    namespace: string,
    signal: AbortSignal,
  ): Promise<readonly KubeObject[] | undefined> {
    if (!resource.verbs.includes('list')) return undefined;
    const items: KubeObject[] = [];
    let token = '';
    try {
      do {
        const page = await this.client.list(resource, namespace, {
          metadataOnly: true,
          limit: PAGE,
          continue: token,
          signal,
        });
        items.push(...page.items);
        token = page.metadata.continue ?? '';
      } while (token !== '');
    } catch (error) {
      // Discovered, and gone since.
      if (hasReason(error, 'NotFound', 'MethodNotAllowed')) return undefined;
      throw error;
    }
    return items;
  }

  private async deleteItems(
    resource: ServedResource,
    namespace: string,
    items: readonly KubeObject[] | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const options = { propagationPolicy: 'Background' } as const;
    if (resource.verbs.includes('deletecollection')) {
      try {
        await this.client.deleteCollection(resource, namespace, options, { signal });
        return;
      } catch (error) {
        if (!hasReason(error, 'NotFound', 'MethodNotAllowed')) throw error;
      }
    }
    for (const { metadata } of items ?? []) {
      try {
        await this.client.delete(resource, namespace, metadata.name ?? '', options, signal);
      } catch (error) {
        if (!hasReason(error, 'NotFound', 'MethodNotAllowed')) throw error;
      }
    }
  }

  /** How long the pods may still take, seconds; 0 once that time has passed since the namespace was deleted. */
  private async graceSeconds(namespace: KubeObject, signal: AbortSignal): Promise<number> {
    const { name = '', deletionTimestamp } = namespace.metadata;
    const { items } = await this.client.list(PODS, name, { signal });
    let seconds = 0;
    for (const pod of items) {
      const phase = isRecord(pod['status']) ? pod['status']['phase'] : undefined;
      const grace = isRecord(pod['spec']) ? pod['spec']['terminationGracePeriodSeconds'] : undefined;
      if (phase === 'Succeeded' || phase === 'Failed' || typeof grace !== 'number') continue;
      seconds = Math.max(seconds, grace);
    }
    const sinceMs = this.clock.nowMs() - Date.parse(deletionTimestamp ?? '');
    return sinceMs >= seconds * 1_000 ? 0 : seconds;
  }

  private async report(namespace: KubeObject, sweep: Sweep, signal: AbortSignal): Promise<KubeObject> {
    const status = isRecord(namespace['status']) ? namespace['status'] : {};
    const before: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : [];
    const now = `${new Date(this.clock.nowMs()).toISOString().slice(0, 19)}Z`;
    const conditions = laidOver(before, conditionsOf(sweep), now);
    if (conditions === undefined) return namespace;
    try {
      return await this.client.update(
        NAMESPACES,
        '',
        { ...namespace, status: { ...status, conditions } },
        { subresource: 'status', signal },
      );
    } catch (error) {
      // What is shown may be old; what is done is not held up by it.
      if (hasReason(error, 'Conflict', 'NotFound')) return namespace;
      throw error;
    }
  }
}

function isPods({ group, resource }: ServedResource): boolean {
  return group === PODS.group && resource === PODS.resource;
}

function finalizersOf(namespace: KubeObject): readonly string[] {
  const finalizers = isRecord(namespace['spec']) ? namespace['spec']['finalizers'] : undefined;
  return Array.isArray(finalizers) ? finalizers.filter((one) => typeof one === 'string') : [];
}
