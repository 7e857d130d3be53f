/**
 * garbage-collector-controller: deletes what has lost all its owners, waits for dependents where a deletion is to go
 * before them, and lets dependents go where they are to stay. The graph says what to look at; before anything is
 * deleted, the server is asked what is true, and the deletion names the object's uid and version.
 *
 * Modelled on kubernetes' garbage collector.
 */

import type { Timer } from '@keelson/base';
import {
  hasReason,
  isDeleting,
  KubeError,
  WorkQueue,
  type DeleteOptions,
  type KubeObject,
  type Outcome,
  type OwnerReference,
  type ServedResource,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { AbsentOwners } from './absent-owners.ts';
import {
  FOREGROUND_FINALIZER,
  Graph,
  ORPHAN_FINALIZER,
  referredTo,
  type GraphNode,
  type Identity,
} from './graph.ts';
import { Monitors, type MonitorOptions } from './monitors.ts';
import {
  ownersMergePatch,
  ownersStrategicPatch,
  unblockMergePatch,
  unblockStrategicPatch,
} from './patches.ts';

export interface GarbageCollectorOptions extends MonitorOptions {
  /** --concurrent-gc-syncs */
  readonly concurrency?: number;
}

const CONCURRENCY = 20;
/** Collection begins then at the latest, also if a watch does not come about. */
const FIRST_SYNC_MS = 30_000;

/** The kind of an owner is not served, as far as is known. */
class UnknownKind extends Error {}
/** What lies in no namespace cannot be owned by what lies in one; that does not mend itself. */
class NamespacedOwner extends Error {}

interface Classified {
  readonly solid: readonly OwnerReference[];
  readonly dangling: readonly OwnerReference[];
  /** Owners that wait for this very dependent to go. */
  readonly waiting: readonly OwnerReference[];
}

export class GarbageCollector implements Controller {
  private readonly parts: ControllerParts;
  private readonly graph: Graph;
  private readonly monitors: Monitors;
  private readonly absent = new AbsentOwners();
  private readonly deletions: WorkQueue<GraphNode>;
  private readonly orphans: WorkQueue<GraphNode>;
  private timer: Timer | undefined;

  constructor(parts: ControllerParts, options: GarbageCollectorOptions = {}) {
    const { clock, logger, metrics } = parts;
    this.parts = parts;
    const shared = {
      clock,
      logger,
      metrics,
      concurrency: options.concurrency ?? CONCURRENCY,
      // Its items are nodes of the graph, each once: the graph is the bound.
      depthMax: Infinity,
      refill: () => undefined,
    };
    this.deletions = new WorkQueue<GraphNode>({
      ...shared,
      name: 'garbage_collector_attempt_to_delete',
      work: (node, signal) => this.examine(node, signal),
    });
    this.orphans = new WorkQueue<GraphNode>({
      ...shared,
      name: 'garbage_collector_attempt_to_orphan',
      work: (node, signal) => this.orphan(node, signal),
    });
    this.graph = new Graph({
      examine: (node) => this.deletions.add(node),
      examineLater: (node) => this.deletions.addLimited(node),
      orphan: (node) => this.orphans.add(node),
      absent: (identity) => this.absent.add(identity),
      foreignOwner: (dependent, reference) => this.reportForeignOwner(dependent, reference),
    });
    this.monitors = new Monitors(parts, this.graph, () => this.begin(), options);
  }

  start(): void {
    this.monitors.start();
    this.timer = this.parts.clock.setTimer(FIRST_SYNC_MS, () => {
      this.parts.logger.warn('not all resources could be listed; collection begins without them');
      this.work();
    });
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    await Promise.all([this.monitors.stop(), this.deletions.stop(), this.orphans.stop()]);
  }

  get synced(): boolean {
    return this.monitors.synced;
  }

  get quiet(): boolean {
    return this.deletions.quiet && this.orphans.quiet;
  }

  private begin(): void {
    if (this.monitors.synced) this.work();
  }

  private work(): void {
    this.timer?.cancel();
    this.deletions.start();
    this.orphans.start();
  }

  // --- Deleting --------------------------------------------------------------------------------------------

  private async examine(node: GraphNode, signal: AbortSignal): Promise<Outcome> {
    // What only references speak of may have been found to be nothing meanwhile.
    if (node.virtual && this.graph.node(node.identity.uid) !== node) return 'done';
    try {
      const gone = await this.attempt(node, signal);
      // A virtual node that exists is looked at until a watch shows it: it may come and go between two watches.
      return !gone && node.virtual ? 'retry' : 'done';
    } catch (error) {
      if (error instanceof NamespacedOwner) return 'done';
      if (!(error instanceof UnknownKind)) throw error;
      this.monitors.syncSoon();
      return 'retry';
    }
  }

  /** @returns whether the object turned out not to exist */
  private async attempt(node: GraphNode, signal: AbortSignal): Promise<boolean> {
    // Its end is certain; what depends on it is looked at then.
    if (node.beingDeleted && !node.deletingDependents) return false;
    const { identity } = node;
    const latest = await this.read(identity, signal);
    if (latest === undefined || latest.metadata.uid !== identity.uid) {
      this.graph.verifiedAbsent(identity);
      return true;
    }
    if (node.deletingDependents) {
      await this.awaitDependents(node, signal);
      return false;
    }
    const references = latest.metadata.ownerReferences ?? [];
    if (references.length === 0) return false;
    const { solid, dangling, waiting } = await this.classify(identity, references, signal);
    if (solid.length > 0) {
      if (dangling.length > 0 || waiting.length > 0) {
        await this.dropOwners(
          identity,
          [...dangling, ...waiting].map(({ uid }) => uid),
          signal,
        );
      }
    } else if (waiting.length > 0 && node.dependents.size > 0) {
      await this.breakCircle(node, signal);
      await this.deleteObject(identity, latest, 'Foreground', signal);
    } else {
      await this.deleteObject(identity, latest, policyOf(latest), signal);
    }
    return false;
  }

  /** Of an object that waits for its dependents: lets it go when none is left that it has to wait for. */
  private async awaitDependents(node: GraphNode, signal: AbortSignal): Promise<void> {
    const blocking = node.blockingDependents();
    if (blocking.length === 0) {
      await this.dropFinalizer(node.identity, FOREGROUND_FINALIZER, signal);
      return;
    }
    for (const dependent of blocking) if (!dependent.deletingDependents) this.deletions.add(dependent);
  }

  /** Where a dependent waits itself, the two may wait for each other: this one no longer blocks its owners. */
  private async breakCircle(node: GraphNode, signal: AbortSignal): Promise<void> {
    if (![...node.dependents].some(({ deletingDependents }) => deletingDependents)) return;
    const { identity, owners } = node;
    await this.patch(
      identity,
      unblockStrategicPatch(identity.uid, owners),
      (latest) => unblockMergePatch(latest),
      signal,
    );
  }

  private async classify(
    identity: Identity,
    references: readonly OwnerReference[],
    signal: AbortSignal,
  ): Promise<Classified> {
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const reference of references) {
      const owner = await this.ownerOf(identity, reference, signal);
      if (owner === undefined) dangling.push(reference);
      else if (isDeleting(owner) && owner.metadata.finalizers?.includes(FOREGROUND_FINALIZER) === true) {
        waiting.push(reference);
      } else solid.push(reference);
    }
    return { solid, dangling, waiting };
  }

  /** The owner a reference means; undefined when there is none. */
  private async ownerOf(
    dependent: Identity,
    reference: OwnerReference,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    const inNone = referredTo(reference, '');
    const inSame = referredTo(reference, dependent.namespace);
    if (this.absent.has(inNone) || this.absent.has(inSame)) return undefined;
    const { namespaced } = await this.resourceOf(reference);
    if (dependent.namespace === '' && namespaced) {
      throw new NamespacedOwner(`${dependent.name} refers to a ${reference.kind}, which lies in a namespace`);
    }
    const identity = namespaced ? inSame : inNone;
    const owner = await this.read(identity, signal);
    if (owner !== undefined && owner.metadata.uid === reference.uid) return owner;
    this.absent.add(identity);
    return undefined;
  }

  private async deleteObject(
    identity: Identity,
    latest: KubeObject,
    propagationPolicy: NonNullable<DeleteOptions['propagationPolicy']>,
    signal: AbortSignal,
  ): Promise<void> {
    const { resourceVersion, ownerReferences } = latest.metadata;
    const { uid } = identity;
    const act = async (preconditions: NonNullable<DeleteOptions['preconditions']>): Promise<void> => {
      const { resource, namespace } = await this.placeOf(identity);
      const options = { propagationPolicy, preconditions };
      await this.parts.client.delete(resource, namespace, identity.name, options, signal);
    };
    try {
      await act(resourceVersion === undefined ? { uid } : { uid, resourceVersion });
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      if (!hasReason(error, 'Conflict')) throw error;
      const now = await this.read(identity, signal);
      if (now === undefined) return;
      const sameOwners = JSON.stringify(now.metadata.ownerReferences) === JSON.stringify(ownerReferences);
      if (now.metadata.uid !== uid || now.metadata.resourceVersion === resourceVersion || !sameOwners)
        throw error;
      // It changes fast, but not in what decided this.
      await unlessGone(act({ uid }));
    }
  }

  // --- Orphaning -------------------------------------------------------------------------------------------

  private async orphan(node: GraphNode, signal: AbortSignal): Promise<Outcome> {
    const owner = node.identity;
    const dependents = [...node.dependents];
    const failures: unknown[] = [];
    for (let from = 0; from < dependents.length; from += CONCURRENCY) {
      const some = dependents.slice(from, from + CONCURRENCY);
      const ended = await Promise.allSettled(
        some.map(({ identity }) => this.dropOwners(identity, [owner.uid], signal)),
      );
      for (const one of ended) if (one.status === 'rejected') failures.push(one.reason);
    }
    const [failure] = failures;
    if (failure !== undefined) throw failure;
    await this.dropFinalizer(owner, ORPHAN_FINALIZER, signal);
    return 'done';
  }

  // --- Reading and writing ---------------------------------------------------------------------------------

  private async resourceOf({
    apiVersion,
    kind,
  }: {
    readonly apiVersion: string;
    readonly kind: string;
  }): Promise<ServedResource> {
    const resource = await this.parts.discovery.resourceOf(apiVersion, kind);
    if (resource === undefined)
      throw new UnknownKind(`no matches for kind "${kind}" in version "${apiVersion}"`);
    return resource;
  }

  private async placeOf(
    identity: Identity,
  ): Promise<{ readonly resource: ServedResource; readonly namespace: string }> {
    const resource = await this.resourceOf(identity);
    return { resource, namespace: resource.namespaced ? identity.namespace : '' };
  }

  /** Metadata of the object of that name; undefined when there is none. */
  private async read(identity: Identity, signal: AbortSignal): Promise<KubeObject | undefined> {
    const { resource, namespace } = await this.placeOf(identity);
    // Only a wrong reference means a namespaced object and names no namespace: nothing is there.
    if (resource.namespaced && namespace === '') return undefined;
    try {
      return await this.parts.client.get(resource, namespace, identity.name, { metadataOnly: true, signal });
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  private async dropOwners(identity: Identity, uids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.patch(
      identity,
      ownersStrategicPatch(identity.uid, uids),
      (latest) => ownersMergePatch(latest, uids),
      signal,
    );
  }

  /**
   * Patches an object's references: by merge keys where the kind has them, else as a whole on the version that was
   * read. An object that is gone, or is another one now, is none to patch.
   */
  private async patch(
    identity: Identity,
    strategic: unknown,
    merge: (latest: KubeObject) => unknown,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = this.parts;
    const { resource, namespace } = await this.placeOf(identity);
    const options = { metadataOnly: true, signal };
    try {
      await client.patch(resource, namespace, identity.name, 'strategic', strategic, options);
      return;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      if (!hasReason(error, 'UnsupportedMediaType')) throw error;
    }
    const latest = await this.read(identity, signal);
    if (latest === undefined || latest.metadata.uid !== identity.uid) return;
    await unlessGone(client.patch(resource, namespace, identity.name, 'merge', merge(latest), options));
  }

  private async dropFinalizer(identity: Identity, finalizer: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const latest = await this.read(identity, signal);
      if (latest === undefined || latest.metadata.uid !== identity.uid) return;
      const { finalizers = [], resourceVersion } = latest.metadata;
      if (!finalizers.includes(finalizer)) return;
      const patch = {
        metadata: { resourceVersion, finalizers: finalizers.filter((one) => one !== finalizer) },
      };
      const { resource, namespace } = await this.placeOf(identity);
      try {
        const options = { metadataOnly: true, signal };
        await this.parts.client.patch(resource, namespace, identity.name, 'merge', patch, options);
        return;
      } catch (error) {
        if (hasReason(error, 'NotFound')) return;
        if (!hasReason(error, 'Conflict')) throw error;
      }
    }
  }

  private reportForeignOwner({ identity }: GraphNode, reference: OwnerReference): void {
    const { apiVersion, kind, name, uid, namespace } = identity;
    const owner = `${reference.apiVersion}/${reference.kind}, namespace: ${namespace}, name: ${reference.name}, uid: ${reference.uid}`;
    this.parts.recorder.event(
      { apiVersion, kind, metadata: { name, uid, ...(namespace === '' ? {} : { namespace }) } },
      'Warning',
      'OwnerRefInvalidNamespace',
      `ownerRef [${owner}] does not exist in namespace "${namespace}"`,
    );
  }
}

/** What the finalizers an object has already say of its dependents. */
function policyOf({ metadata }: KubeObject): NonNullable<DeleteOptions['propagationPolicy']> {
  if (metadata.finalizers?.includes(ORPHAN_FINALIZER) === true) return 'Orphan';
  return metadata.finalizers?.includes(FOREGROUND_FINALIZER) === true ? 'Foreground' : 'Background';
}

async function unlessGone(done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!(error instanceof KubeError) || error.reason !== 'NotFound') throw error;
  }
}
