/**
 * Who owns whom: a node for each object, by uid, with its owners and its dependents. Told of what watches see and of
 * what turned out not to exist, it says which nodes are to be looked at. Pure: it asks nobody and waits for nothing.
 *
 * Laws: a node that is an owner of another has it among its dependents; a node is virtual as long as nobody saw the
 * object and only references speak of it.
 *
 * Modelled on kubernetes' garbage collector graph builder.
 */

import type { KubeObject, OwnerReference } from '@keelson/kube-client';

export const FOREGROUND_FINALIZER = 'foregroundDeletion';
export const ORPHAN_FINALIZER = 'orphan';

/** Where an object is, and which one; never changed. */
export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for what lies in no namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

const NO_OWNERS: readonly OwnerReference[] = [];
const NO_DEPENDENTS: ReadonlySet<GraphNode> = new Set();

export class GraphNode {
  identity: Identity;
  owners: readonly OwnerReference[] = NO_OWNERS;
  /** Only references speak of it. */
  virtual: boolean;
  beingDeleted = false;
  /** It waits for its dependents to be deleted: foreground deletion. */
  deletingDependents = false;
  /** It waits for its dependents to be let go. */
  orphaning = false;
  private held: Set<GraphNode> | undefined;

  constructor(identity: Identity, virtual: boolean) {
    this.identity = identity;
    this.virtual = virtual;
  }

  get dependents(): ReadonlySet<GraphNode> {
    return this.held ?? NO_DEPENDENTS;
  }

  /** Dependents that a foreground deletion waits for. */
  blockingDependents(): GraphNode[] {
    const { uid } = this.identity;
    return [...this.dependents].filter(({ owners }) =>
      owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
    );
  }

  addDependent(node: GraphNode): void {
    (this.held ??= new Set()).add(node);
  }

  removeDependent(node: GraphNode): void {
    this.held?.delete(node);
    if (this.held?.size === 0) this.held = undefined;
  }

  /** As logs show it. */
  toString(): string {
    const { apiVersion, kind, namespace, name, uid } = this.identity;
    return `[${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`;
  }
}

/** What follows from a change of the graph. */
export interface GraphListener {
  /** Look whether it is to be deleted. */
  examine(node: GraphNode): void;
  /** The same, after a while. */
  examineLater(node: GraphNode): void;
  /** Let its dependents go. */
  orphan(node: GraphNode): void;
  /** No object of that identity exists. */
  absent(identity: Identity): void;
  /** A reference names an owner that lies in another namespace. */
  foreignOwner(dependent: GraphNode, reference: OwnerReference): void;
}

export class Graph {
  private readonly nodes = new Map<string, GraphNode>();
  private readonly listener: GraphListener;

  constructor(listener: GraphListener) {
    this.listener = listener;
  }

  get size(): number {
    return this.nodes.size;
  }

  node(uid: string): GraphNode | undefined {
    return this.nodes.get(uid);
  }

  /** A watch saw the object, new or changed. */
  observe(identity: Identity, { metadata }: KubeObject): void {
    const owners = ownersOf(metadata.ownerReferences);
    const finalizers = metadata.finalizers ?? [];
    const deleting = metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null;
    let node = this.nodes.get(identity.uid);
    if (node === undefined) {
      node = new GraphNode(identity, false);
      this.nodes.set(identity.uid, node);
    } else if (node.virtual) {
      this.becomesReal(node, identity);
    } else if (node.identity.apiVersion !== identity.apiVersion) {
      // The server prefers another version of its kind now.
      node.identity = identity;
    }
    this.changeOwners(node, owners);
    if (deleting) node.beingDeleted = true;
    this.transitions(node, deleting, finalizers);
  }

  /** A watch saw that the object is gone. */
  remove(uid: string): void {
    const node = this.nodes.get(uid);
    if (node !== undefined) this.dissolve(node, node.identity);
  }

  /**
   * Nobody watches the object's resource any more; whether it exists is not known. What others refer to stays as a
   * virtual node and is looked at: it is asked for before anything follows.
   */
  forget(uid: string): void {
    const node = this.nodes.get(uid);
    if (node === undefined) return;
    this.changeOwners(node, NO_OWNERS);
    if (node.dependents.size === 0) {
      this.nodes.delete(uid);
      return;
    }
    node.virtual = true;
    this.listener.examineLater(node);
  }

  /** The server says that no object of this identity exists (any more). */
  verifiedAbsent(identity: Identity): void {
    const node = this.nodes.get(identity.uid);
    if (node === undefined) return;
    const { listener } = this;
    if (node.virtual) {
      const others = mismatching(node, identity);
      if (others.length > 0) {
        // Some refer to it by other coordinates: it may exist under those.
        const matching = [...node.dependents].filter((dependent) => !others.includes(dependent));
        if (matching.length > 0) {
          listener.absent(identity);
          for (const dependent of matching) listener.examine(dependent);
        }
        if (sameIdentity(node.identity, identity)) {
          const alternative = alternativeIdentity(others, identity);
          if (alternative !== undefined) {
            node.identity = alternative;
            listener.examineLater(node);
          }
        }
        return;
      }
    } else if (!sameIdentity(node.identity, identity)) {
      // It was seen elsewhere; whoever refers to it by these coordinates is wrong.
      const others = mismatching(node, identity);
      const matching = [...node.dependents].filter((dependent) => !others.includes(dependent));
      if (matching.length > 0) {
        listener.absent(identity);
        for (const dependent of matching) listener.examine(dependent);
      }
      return;
    }
    this.dissolve(node, identity);
  }

  private becomesReal(node: GraphNode, identity: Identity): void {
    if (!sameIdentity(node.identity, identity)) {
      for (const dependent of mismatching(node, identity)) {
        this.reportForeign(dependent, identity);
        this.listener.examine(dependent);
      }
      node.identity = identity;
    }
    node.virtual = false;
  }

  private dissolve(node: GraphNode, identity: Identity): void {
    const { listener } = this;
    this.nodes.delete(node.identity.uid);
    const { owners } = node;
    for (const owner of owners) this.nodes.get(owner.uid)?.removeDependent(node);
    if (node.dependents.size > 0) listener.absent(identity);
    for (const dependent of node.dependents) listener.examine(dependent);
    for (const owner of owners) {
      const ownerNode = this.nodes.get(owner.uid);
      if (ownerNode?.deletingDependents === true) listener.examine(ownerNode);
    }
  }

  private changeOwners(node: GraphNode, owners: readonly OwnerReference[]): void {
    const before = node.owners;
    if (before === owners) return;
    const removed = before.filter((old) => !owners.some((one) => one.uid === old.uid));
    const added = owners.filter((one) => !before.some((old) => old.uid === one.uid));
    for (const old of before) {
      if (old.blockOwnerDeletion !== true) continue;
      // Who waited for this dependent waits no longer.
      const now = owners.find((one) => one.uid === old.uid);
      const ownerNode = this.nodes.get(old.uid);
      if (now?.blockOwnerDeletion !== true && ownerNode !== undefined) this.listener.examine(ownerNode);
    }
    node.owners = owners;
    this.attach(node, added);
    for (const owner of removed) this.detach(node, owner.uid);
  }

  private attach(node: GraphNode, owners: readonly OwnerReference[]): void {
    let doubtful = false;
    for (const owner of owners) {
      const found = this.nodes.get(owner.uid);
      if (found === undefined) {
        const made = new GraphNode(referredTo(owner, node.identity.namespace), true);
        this.nodes.set(owner.uid, made);
        made.addDependent(node);
        this.listener.examine(made);
        continue;
      }
      found.addDependent(node);
      if (refersTo(node, owner, found.identity)) continue;
      if (!found.virtual) this.reportForeign(node, found.identity);
      doubtful = true;
    }
    if (doubtful) this.listener.examine(node);
  }

  private detach(node: GraphNode, ownerUid: string): void {
    this.nodes.get(ownerUid)?.removeDependent(node);
  }

  private reportForeign(dependent: GraphNode, owner: Identity): void {
    if (owner.namespace === '' || owner.namespace === dependent.identity.namespace) return;
    const reference = dependent.owners.find(({ uid }) => uid === owner.uid);
    if (reference !== undefined) this.listener.foreignOwner(dependent, reference);
  }

  private transitions(node: GraphNode, deleting: boolean, finalizers: readonly string[]): void {
    const orphans = deleting && finalizers.includes(ORPHAN_FINALIZER);
    const foreground = deleting && finalizers.includes(FOREGROUND_FINALIZER);
    const begins = orphans && !node.orphaning;
    node.orphaning = orphans;
    if (begins) {
      this.listener.orphan(node);
      return;
    }
    if (!foreground || node.deletingDependents) return;
    node.deletingDependents = true;
    for (const dependent of node.dependents) this.listener.examine(dependent);
    this.listener.examine(node);
  }
}

/** References as they are worth keeping: whole ones, and one value for none. */
function ownersOf(references: readonly OwnerReference[] | undefined): readonly OwnerReference[] {
  return references === undefined || references.length === 0 ? NO_OWNERS : references;
}

/** The identity a reference speaks of, as far as it does: the namespace is the dependent's. */
export function referredTo({ apiVersion, kind, name, uid }: OwnerReference, namespace: string): Identity {
  return { apiVersion, kind, name, uid, namespace };
}

function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    a.uid === b.uid &&
    a.name === b.name &&
    a.kind === b.kind &&
    a.apiVersion === b.apiVersion &&
    a.namespace === b.namespace
  );
}

/** Whether a node's reference means the owner of that identity: what lies in no namespace may own anything. */
function refersTo(node: GraphNode, owner: OwnerReference, identity: Identity): boolean {
  return (
    owner.name === identity.name &&
    owner.kind === identity.kind &&
    owner.apiVersion === identity.apiVersion &&
    (identity.namespace === '' || identity.namespace === node.identity.namespace)
  );
}

/** The dependents whose references do not mean an owner of that identity. */
function mismatching(node: GraphNode, identity: Identity): GraphNode[] {
  return [...node.dependents].filter((dependent) => {
    const references = dependent.owners.filter(({ uid }) => uid === identity.uid);
    return !references.some((owner) => refersTo(dependent, owner, identity));
  });
}

/** Another identity by which dependents mean the owner, the next one in order so that each gets its turn. */
function alternativeIdentity(dependents: readonly GraphNode[], known: Identity): Identity | undefined {
  const texts = new Map<string, Identity>();
  for (const dependent of dependents) {
    for (const owner of dependent.owners) {
      if (owner.uid !== known.uid) continue;
      const identity = referredTo(owner, dependent.identity.namespace);
      if (!sameIdentity(identity, known)) texts.set(textOf(identity), identity);
    }
  }
  const sorted = [...texts.keys()].toSorted();
  const after = sorted.find((text) => text > textOf(known)) ?? sorted[0];
  return after === undefined ? undefined : texts.get(after);
}

function textOf({ apiVersion, kind, namespace, name }: Identity): string {
  return [apiVersion, kind, namespace, name].join(' ');
}

/** The identity of an object of a watched resource. */
export function identityOf(apiVersion: string, kind: string, { metadata }: KubeObject): Identity {
  return {
    apiVersion,
    kind,
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
  };
}
