/**
 * Which objects a node may see because of the pods on it: an edge from each object a pod uses to the pod, and
 * from the pod to its node; likewise from what a claim or a volume uses to it. Fed by watches of pods, volumes,
 * volume attachments and resource slices; asked whether a way leads from an object to a node.
 *
 * Modelled on kubernetes' Node authorizer graph. Mirror pods count for nothing: who makes them is the node itself.
 */

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';

export type NodeGraphKind =
  | 'configmap'
  | 'secret'
  | 'pvc'
  | 'pv'
  | 'serviceaccount'
  | 'resourceclaim'
  | 'volumeattachment'
  | 'resourceslice'
  | 'pod'
  | 'node';

const MIRROR = 'kubernetes.io/config.mirror';

/** A vertex as text; names hold no slash. */
function vertex(kind: NodeGraphKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

export class NodeGraph {
  /** From a vertex to those that use it. */
  private readonly users = new Map<string, Set<string>>();
  /** From a vertex to what it uses, so that it can be taken out again. */
  private readonly used = new Map<string, readonly string[]>();
  /** What uses a vertex that is put here: a pod's node, a volume's claim, an attachment's node. */
  private readonly userOf = new Map<string, string>();

  /** Takes a pod that was added or changed; one that is on no node yet gives nobody anything. */
  putPod(pod: KubeObject): void {
    const namespace = pod.metadata.namespace ?? '';
    const name = pod.metadata.name ?? '';
    const spec = fieldsOf(pod.spec);
    const node = textOf(spec.nodeName);
    const mirror = Object.hasOwn(pod.metadata.annotations ?? {}, MIRROR);
    const self = vertex('pod', namespace, name);
    if (node === '') {
      this.remove('pod', namespace, name);
      return;
    }
    const uses = mirror ? [] : usedByPod(pod, namespace, name);
    this.put(self, uses);
    this.edge(self, vertex('node', '', node));
    this.userOf.set(self, vertex('node', '', node));
  }

  /** Takes a volume that was added or changed: its claim, and the secrets it is mounted with. */
  putVolume(volume: KubeObject): void {
    const spec = fieldsOf(volume.spec);
    const self = vertex('pv', '', volume.metadata.name ?? '');
    const claim = fieldsOf(spec.claimRef);
    const namespace = textOf(claim.namespace);
    const old = this.userOf.get(self);
    if (old !== undefined) this.drop(self, old);
    const secrets = [...secretRefs(spec, namespace)].map(([of, name]) => vertex('secret', of, name));
    this.put(self, secrets);
    if (textOf(claim.name) === '') {
      this.userOf.delete(self);
      return;
    }
    const target = vertex('pvc', namespace, textOf(claim.name));
    this.edge(self, target);
    this.userOf.set(self, target);
  }

  /** Takes an attachment of a volume to a node. */
  putVolumeAttachment(attachment: KubeObject): void {
    this.putOnNode('volumeattachment', attachment);
  }

  /** Takes a slice of devices; one that is of no single node is nobody's. */
  putResourceSlice(slice: KubeObject): void {
    this.putOnNode('resourceslice', slice);
  }

  /** Forgets an object that was deleted. */
  remove(kind: 'pod' | 'pv' | 'volumeattachment' | 'resourceslice', namespace: string, name: string): void {
    const self = vertex(kind, namespace, name);
    for (const one of this.used.get(self) ?? []) this.drop(one, self);
    this.used.delete(self);
    const target = this.userOf.get(self);
    if (target !== undefined) this.drop(self, target);
    this.userOf.delete(self);
  }

  /** Whether a way leads from the object to the node. */
  reaches(kind: NodeGraphKind, namespace: string, name: string, node: string): boolean {
    const goal = vertex('node', '', node);
    const seen = new Set<string>();
    const open = [vertex(kind, namespace, name)];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const next of this.users.get(at) ?? []) {
        if (next === goal) return true;
        if (!seen.has(next) && !next.startsWith('node/')) {
          seen.add(next);
          open.push(next);
        }
      }
    }
    return false;
  }

  /** What belongs to the node its spec names. */
  private putOnNode(kind: 'volumeattachment' | 'resourceslice', { metadata, spec }: KubeObject): void {
    const self = vertex(kind, '', metadata.name ?? '');
    const old = this.userOf.get(self);
    if (old !== undefined) this.drop(self, old);
    this.userOf.delete(self);
    const name = textOf(fieldsOf(spec).nodeName);
    if (name === '') return;
    const node = vertex('node', '', name);
    this.edge(self, node);
    this.userOf.set(self, node);
  }

  private put(self: string, uses: readonly string[]): void {
    for (const one of this.used.get(self) ?? []) this.drop(one, self);
    const node = this.userOf.get(self);
    if (node?.startsWith('node/') === true) this.drop(self, node);
    this.used.set(self, uses);
    for (const one of uses) this.edge(one, self);
  }

  private edge(from: string, to: string): void {
    let targets = this.users.get(from);
    if (targets === undefined) {
      targets = new Set();
      this.users.set(from, targets);
    }
    targets.add(to);
  }

  private drop(from: string, to: string): void {
    const targets = this.users.get(from);
    targets?.delete(to);
    if (targets?.size === 0) this.users.delete(from);
  }
}

/** What a pod names in its own namespace. */
function usedByPod(pod: KubeObject, namespace: string, podName: string): string[] {
  const spec = fieldsOf(pod.spec);
  const found = new Set<string>();
  const add = (kind: NodeGraphKind, name: unknown): void => {
    if (textOf(name) !== '') found.add(vertex(kind, namespace, textOf(name)));
  };
  add('serviceaccount', spec.serviceAccountName);
  for (const one of listOf(spec.imagePullSecrets)) add('secret', fieldsOf(one).name);
  for (const list of [spec.containers, spec.initContainers, spec.ephemeralContainers]) {
    for (const container of listOf(list)) addEnvironment(fieldsOf(container), add);
  }
  for (const one of listOf(spec.volumes)) {
    const volume = fieldsOf(one);
    add('configmap', fieldsOf(volume.configMap).name);
    add('secret', fieldsOf(volume.secret).secretName);
    add('pvc', fieldsOf(volume.persistentVolumeClaim).claimName);
    if (volume.ephemeral !== undefined) add('pvc', `${podName}-${textOf(volume.name)}`);
    for (const [of, name] of secretRefs(volume, namespace)) if (of === namespace) add('secret', name);
    for (const source of listOf(fieldsOf(volume.projected).sources)) {
      const { configMap, secret } = fieldsOf(source);
      add('configmap', fieldsOf(configMap).name);
      add('secret', fieldsOf(secret).name);
    }
  }
  for (const one of listOf(fieldsOf(pod.status).resourceClaimStatuses)) {
    add('resourceclaim', fieldsOf(one).resourceClaimName);
  }
  for (const one of listOf(spec.resourceClaims)) add('resourceclaim', fieldsOf(one).resourceClaimName);
  return [...found];
}

function addEnvironment(
  container: Readonly<Record<string, unknown>>,
  add: (kind: NodeGraphKind, name: unknown) => void,
): void {
  for (const one of listOf(container.envFrom)) {
    const { configMapRef, secretRef } = fieldsOf(one);
    add('configmap', fieldsOf(configMapRef).name);
    add('secret', fieldsOf(secretRef).name);
  }
  for (const one of listOf(container.env)) {
    const { configMapKeyRef, secretKeyRef } = fieldsOf(fieldsOf(one).valueFrom);
    add('configmap', fieldsOf(configMapKeyRef).name);
    add('secret', fieldsOf(secretKeyRef).name);
  }
}

/** Fields of volume sources that name a secret as an object. */
const SECRET_FIELDS: readonly string[] = [
  'secretRef',
  'nodePublishSecretRef',
  'nodeStageSecretRef',
  'nodeExpandSecretRef',
];

/** Namespace and name of the secrets that a volume's source is mounted with. */
function* secretRefs(
  sources: Readonly<Record<string, unknown>>,
  namespace: string,
): Generator<[string, string]> {
  for (const [type, value] of Object.entries(sources)) {
    const source = fieldsOf(value);
    for (const field of SECRET_FIELDS) {
      const ref = fieldsOf(source[field]);
      const name = textOf(ref.name);
      const of = textOf(ref.namespace);
      if (name !== '') yield [of === '' ? namespace : of, name];
    }
    if (type === 'azureFile' && textOf(source.secretName) !== '') {
      const of = textOf(source.secretNamespace);
      yield [of === '' ? namespace : of, textOf(source.secretName)];
    }
  }
}
