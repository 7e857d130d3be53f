/**
 * What a pod and its parts get when they say nothing; the same rules serve every pod template. Sources: the
 * field descriptions of core/v1 and the reference's appendix of defaults.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { Quantity } from '../api/quantity.ts';
import { quantity } from '../validation/scalars.ts';
import { aggregateOf, isHugePages, isOvercommitted, ofPod } from '../validation/pod-resources.ts';
import { count, flag, has, part, partOf, parts, text, withField } from '../validation/value.ts';
import { oneAndAll, withAbsent } from './absent.ts';
import type { DefaultRules } from './defaulter.ts';

const RESTART_ALWAYS = 'Always';

/** The names a Volume's source may have: one that has none is an emptyDir. */
const VOLUME_SOURCES: readonly string[] = [
  'hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs',
  'persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume',
  'quobyte azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image',
].flatMap((names) => names.split(' '));

export const POD_DEFAULTS: DefaultRules = {
  'core.v1.Pod': (pod) => {
    let spec = part(pod, 'spec');
    for (const list of ['containers', 'initContainers']) {
      if (has(spec, list)) spec = withEach(spec, list, requestsFromLimits);
    }
    spec = withAbsent(spec, { enableServiceLinks: true });
    // Of pods alone: a template keeps what it says.
    if (flag(spec, 'hostNetwork')) {
      for (const list of ['containers', 'initContainers']) {
        if (has(spec, list)) spec = withEach(spec, list, hostPorts);
      }
    }
    const resources = partOf(spec, 'resources');
    if (resources !== undefined) spec = withField(spec, 'resources', podResources(spec, resources));
    return withField(pod, 'spec', spec);
  },
  'core.v1.PodSpec': (spec) => {
    let filled = withAbsent(spec, {
      restartPolicy: RESTART_ALWAYS,
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
    });
    // The older of the two names of one field says what the newer one says.
    const account = text(filled, 'serviceAccountName') || text(filled, 'serviceAccount');
    if (account === '') return filled;
    filled = withField(filled, 'serviceAccountName', account);
    return withField(filled, 'serviceAccount', account);
  },
  'core.v1.PodStatus': (status) => {
    const listed = parts(status, 'podIPs').map((each) => text(each, 'ip'));
    return oneAndAll(status, 'podIP', 'podIPs', (ip) => ({ ip }), listed);
  },
  'core.v1.Container': container,
  'core.v1.EphemeralContainer': container,
  'core.v1.ResourceRequirements': (value) => roundedLists(value, ['limits', 'requests']),
  'core.v1.Probe': (probe) =>
    positive(
      positive(positive(positive(probe, 'timeoutSeconds', 1), 'periodSeconds', 10), 'successThreshold', 1),
      'failureThreshold',
      3,
    ),
  'core.v1.HTTPGetAction': (action) => withAbsent(action, { path: '/', scheme: 'HTTP' }),
  'core.v1.GRPCAction': (action) => withField(action, 'service', action['service'] ?? ''),
  'core.v1.ObjectFieldSelector': (selector) => withAbsent(selector, { apiVersion: 'v1' }),
  'core.v1.Volume': (volume) =>
    VOLUME_SOURCES.some((name) => has(volume, name)) ? volume : { ...volume, emptyDir: {} },
  'core.v1.SecretVolumeSource': (source) => withAbsent(source, { defaultMode: 420 }),
  'core.v1.ConfigMapVolumeSource': (source) => withAbsent(source, { defaultMode: 420 }),
  'core.v1.DownwardAPIVolumeSource': (source) => withAbsent(source, { defaultMode: 420 }),
  'core.v1.ProjectedVolumeSource': (source) => withAbsent(source, { defaultMode: 420 }),
  'core.v1.HostPathVolumeSource': (source) => (has(source, 'type') ? source : { ...source, type: '' }),
  'core.v1.ImageVolumeSource': (source) =>
    withAbsent(source, { pullPolicy: pullPolicyOf(text(source, 'reference')) }),
  'core.v1.ServiceAccountTokenProjection': (source) => withAbsent(source, { expirationSeconds: 3600 }),
  'core.v1.PodCertificateProjection': (source) => withAbsent(source, { maxExpirationSeconds: 86_400 }),
  'core.v1.PersistentVolumeClaim': (claim) =>
    withField(claim, 'status', withAbsent(part(claim, 'status'), { phase: 'Pending' })),
  'core.v1.PersistentVolumeClaimSpec': (spec) => withAbsent(spec, { volumeMode: 'Filesystem' }),
};

/** With each item of a list changed; the same object where no item is. */
function withEach(of: JsonObject, list: string, change: (item: JsonObject) => JsonObject): JsonObject {
  const before = parts(of, list);
  const after = before.map(change);
  return after.every((item, at) => item === before[at]) ? of : withField(of, list, after);
}

function container(value: JsonObject): JsonObject {
  return withAbsent(value, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicyOf(text(value, 'image')),
  });
}

/** What the names of images are made of; anything else has no tag. */
const REFERENCE =
  /^([\w.-]+(:\d+)?\/)?[a-z\d]+((\.|__?|-+)[a-z\d]+)*(\/[a-z\d]+((\.|__?|-+)[a-z\d]+)*)*(:\w[\w.-]{0,127})?(@[\w+.-]+:[\da-fA-F]{32,})?$/;

/** Always for the tag latest, said or meant; an image by digest alone does not change. */
export function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  if (!REFERENCE.test(image)) return 'IfNotPresent';
  const at = image.indexOf('@');
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  const tag = colon < 0 ? (at < 0 ? 'latest' : '') : name.slice(colon + 1);
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** A limit without a request asks for as much as it allows. */
function requestsFromLimits(value: JsonObject): JsonObject {
  const resources = part(value, 'resources');
  const limits = partOf(resources, 'limits');
  if (limits === undefined) return value;
  const requests = part(resources, 'requests');
  const missing = Object.keys(limits).filter((name) => !Object.hasOwn(requests, name));
  if (missing.length === 0 && has(resources, 'requests') && isSorted(requests)) return value;
  const filled = Object.fromEntries([
    ...Object.entries(requests),
    ...missing.map((name): [string, Json] => [name, limits[name]]),
  ]);
  return withField(value, 'resources', { ...resources, requests: sorted(filled) });
}

/**
 * Resources of the pod as a whole, where it tells some: huge pages that its containers may have are its limit, its requests
 * are what its containers ask for, and what its own limits allow beyond that.
 */
function podResources(spec: JsonObject, resources: JsonObject): JsonObject {
  const told = part(resources, 'requests');
  let limits = part(resources, 'limits');
  if (Object.keys(limits).length === 0 && Object.keys(told).length === 0) return resources;
  const pages = [...aggregateOf(spec, 'limits')].filter(
    ([name]) => isHugePages(name) && !has(told, name) && !has(limits, name),
  );
  let filled = resources;
  if (pages.length > 0) {
    limits = sorted({
      ...limits,
      ...Object.fromEntries(pages.map(([name, value]) => [name, value.toString()])),
    });
    filled = withField(filled, 'limits', limits);
  }
  if (Object.keys(limits).length === 0) return filled;
  const requests: Record<string, Json> = { ...told };
  for (const [name, value] of aggregateOf(spec, 'requests')) {
    if (!has(requests, name) && ofPod(name) && isOvercommitted(name)) requests[name] = value.toString();
  }
  for (const [name, value] of Object.entries(limits)) {
    if (!has(requests, name) && ofPod(name)) requests[name] = value;
  }
  return Object.keys(requests).length === 0 ? filled : withField(filled, 'requests', sorted(requests));
}

function isSorted(map: JsonObject): boolean {
  return Object.keys(map).every((name, at, names) => at === 0 || names[at - 1] < name);
}

function sorted(map: Readonly<Record<string, Json>>): JsonObject {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** On the host's network a container's port is the host's. */
function hostPorts(value: JsonObject): JsonObject {
  if (!has(value, 'ports')) return value;
  return withField(
    value,
    'ports',
    parts(value, 'ports').map((port) =>
      count(port, 'hostPort') === 0 ? withField(port, 'hostPort', port['containerPort']) : port,
    ),
  );
}

function positive(value: JsonObject, name: string, absent: number): JsonObject {
  return count(value, name) === 0 ? { ...value, [name]: absent } : value;
}

/** Amounts finer than a thousandth are rounded up to one. */
export function roundedLists(value: JsonObject, names: readonly string[]): JsonObject {
  let filled = value;
  for (const name of names) {
    const list = partOf(filled, name);
    if (list === undefined) continue;
    for (const [key, amount] of Object.entries(list)) {
      const { nanos, format } = quantity(amount);
      if (nanos % 1_000_000n !== 0n) {
        const up = new Quantity((nanos / 1_000_000n + (nanos > 0n ? 1n : 0n)) * 1_000_000n, format);
        filled = { ...filled, [name]: { ...part(filled, name), [key]: up.toString() } };
      }
    }
  }
  return filled;
}
