/**
 * Which of upstream's end-to-end tests ask an API server, its controllers and its scheduler for something, by group, and
 * which do not: what runs in a container, what is reached through one, and what only some machines have.
 */

export interface Group {
  readonly name: string;
  /** Regular expressions over the tests' names, as Ginkgo takes them. */
  readonly focus: string;
  readonly skip: readonly string[];
}

/** Features that are off by default, tests that break what others stand on, and those that upstream calls flaky. */
const OFF = ['\\[Flaky\\]', '\\[Feature:', '\\[Alpha', '\\[Disruptive\\]', '\\[Slow\\]', 'DRA', 'GPU'];

/** Programs that have to run: webhooks, aggregated servers, shells. Nodes here run nothing. */
const PROGRAMS = [
  'AdmissionWebhook',
  'ConversionWebhook',
  'CustomResourceFieldSelectors',
  'Aggregat',
  '[Ee]xec',
  'connect',
  'attach',
  'port-forward',
];

export const GROUPS: readonly Group[] = [
  {
    name: 'api-machinery',
    focus: '\\[sig-api-machinery\\]',
    skip: [...OFF, ...PROGRAMS, 'etcd failure', 'clean up if there is'],
  },
  {
    name: 'apps',
    focus: '\\[sig-apps\\].*\\[Conformance\\]',
    // These look at what containers end with, at images that cannot be had, or at a pod that stops being ready.
    skip: [
      ...OFF,
      'Burst scaling',
      'canary updates',
      'rolling updates and roll backs',
      'Should recreate evicted',
      'serve a basic image',
      'sometimes fail',
      'locally restarted',
      'Indexed',
      'backoffLimitPerIndex',
      'FailIndex',
      'successPolicy',
      'CronJob should (not )?schedule',
    ],
  },
  {
    name: 'auth',
    focus: '\\[sig-auth\\]',
    skip: [
      ...OFF,
      'NodeAuthenticator',
      'by-node',
      'mount',
      'set ownership',
      'In-cluster',
      'Discovery should',
      'PodCertificate',
    ],
  },
  {
    name: 'network',
    focus:
      '\\[sig-network\\] (IngressClass API|EndpointSlice |Ingress API|Netpol API|ServiceCIDR|IPAddress|EndpointSliceMirroring should mirror a custom Endpoints? (through|resource)|Services should (find a service|complete a service|delete a coll|provide secure|test the lifecycle|prevent NodePort|check NodePort))',
    skip: [...OFF, ...PROGRAMS, 'multiple endpoint IPs', 'multiple ports'],
  },
  {
    name: 'storage',
    focus:
      '\\[sig-storage\\] (CSINodes|CSIDriver|CSIStorageCapacity|CSIInlineVolumes should|VolumeAttachment|PersistentVolumes CSI Conformance|StorageClasses|VolumeAttributesClass|ConfigMap should be immutable|Secrets should be immutable|PV Protection|PVC Protection)',
    skip: [...OFF, 'CSI Mock', 'CSI Volumes', 'In-tree', 'consumable'],
  },
  {
    name: 'scheduling',
    focus: '\\[sig-scheduling\\].*(\\[Conformance\\]|LimitRange|PriorityClass)',
    skip: OFF,
  },
  {
    name: 'node',
    focus:
      '\\[sig-node\\] (RuntimeClass|Lease|PodTemplates|Secrets should (patch|fail)|ConfigMap should (run|fail)|Pods should (delete a coll|run through|patch a pod)|Ephemeral Containers)|\\[sig-instrumentation\\] Events',
    skip: [...OFF, ...PROGRAMS, 'phemeral containers? in an existing', 'be scheduled', 'env'],
  },
];
