/**
 * The roles and bindings every cluster has from its start: for the administrator, for the users of namespaces
 * (admin, edit, view and what they gather), for discovery and health, for the parts of the system. Data, as
 * kubernetes 1.36 creates it with the features that are on by default; reconcile.ts brings stored objects there.
 */

import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import { CONTROLLER_PREFIX, CONTROLLER_ROLES } from './controller-policy.ts';
import { EVENTS, on, READ, READ_UPDATE, READ_WRITE, urls, WRITE, type PolicyRole } from './policy-rules.ts';
import { RBAC_GROUP, type Subject } from './rbac-objects.ts';
import type { PolicyRule } from './rules.ts';

export const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to-';
const API_VERSION = `${RBAC_GROUP}/v1`;

const HEALTH = '/healthz /livez /readyz /version /version/';
const CERTIFICATES = 'certificates.k8s.io';
const WORKLOADS_WRITTEN =
  'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale';
const WORKLOADS_READ =
  'daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status';
const REVIEWS: readonly PolicyRule[] = [
  on('create', 'authentication.k8s.io', 'tokenreviews'),
  on('create', 'authorization.k8s.io', 'subjectaccessreviews'),
];

/** What a node may do where the Node authorizer does not look closer. */
export const NODE_RULES: readonly PolicyRule[] = [
  on('create', 'authentication.k8s.io', 'tokenreviews'),
  on('create', 'authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews'),
  on(READ, 'core', 'services'),
  on('create get list watch', 'core', 'nodes'),
  on('update patch', 'core', 'nodes/status'),
  on('update patch', 'core', 'nodes'),
  EVENTS,
  on(READ, 'core', 'pods'),
  on('create delete', 'core', 'pods'),
  on('update patch', 'core', 'pods/status'),
  on('create', 'core', 'pods/eviction'),
  on(READ, 'core', 'secrets configmaps'),
  on('get', 'core', 'persistentvolumeclaims persistentvolumes'),
  on('get', 'core', 'endpoints'),
  on('create get list watch', CERTIFICATES, 'certificatesigningrequests'),
  on('get create update patch delete', 'coordination.k8s.io', 'leases'),
  on('get', 'storage.k8s.io', 'volumeattachments'),
  on('create', 'core', 'serviceaccounts/token'),
  on('get update patch', 'core', 'persistentvolumeclaims/status'),
  on(READ, 'storage.k8s.io', 'csidrivers'),
  on('get create update patch delete', 'storage.k8s.io', 'csinodes'),
  on(READ, 'node.k8s.io', 'runtimeclasses'),
  on('get', 'resource.k8s.io', 'resourceclaims'),
  on('deletecollection', 'resource.k8s.io', 'resourceslices'),
  on('get', 'core', 'serviceaccounts'),
];

const CLUSTER_ROLES: readonly PolicyRole[] = [
  { name: 'cluster-admin', rules: [on('*', '*', '*'), urls('*', '*')] },
  {
    name: 'system:discovery',
    rules: [urls('get', `${HEALTH} /openapi /openapi/* /api /api/* /apis /apis/*`)],
  },
  {
    name: 'system:basic-user',
    rules: [
      on('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      on('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  { name: 'system:public-info-viewer', rules: [urls('get', HEALTH)] },
  {
    name: 'system:monitoring',
    rules: [
      urls(
        'get',
        '/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/* /flagz /statusz',
      ),
      on('get', 'core', 'nodes/metrics'),
    ],
  },
  { name: 'admin', rules: [], aggregates: 'admin' },
  { name: 'edit', rules: [], aggregates: 'edit', aggregateTo: 'admin' },
  { name: 'view', rules: [], aggregates: 'view', aggregateTo: 'edit' },
  {
    name: 'system:aggregate-to-admin',
    aggregateTo: 'admin',
    rules: [
      on('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
      on(READ_WRITE, RBAC_GROUP, 'roles rolebindings'),
    ],
  },
  {
    name: 'system:aggregate-to-edit',
    aggregateTo: 'edit',
    rules: [
      on(READ, 'core', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
      on('impersonate', 'core', 'serviceaccounts'),
      on(WRITE, 'core', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
      on('create', 'core', 'pods/eviction'),
      on(
        WRITE,
        'core',
        'replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets',
      ),
      on('create', 'core', 'serviceaccounts/token'),
      on(WRITE, 'core events.k8s.io', 'events'),
      on(WRITE, 'apps', `${WORKLOADS_WRITTEN} statefulsets statefulsets/scale`),
      on(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
      on(WRITE, 'batch', 'jobs cronjobs'),
      on(WRITE, 'extensions', `${WORKLOADS_WRITTEN} ingresses replicationcontrollers/scale networkpolicies`),
      on(WRITE, 'policy', 'poddisruptionbudgets'),
      on(WRITE, 'networking.k8s.io', 'networkpolicies ingresses'),
      on(READ_WRITE, 'coordination.k8s.io', 'leases'),
      on(WRITE, 'resource.k8s.io', 'resourceclaims resourceclaimtemplates'),
    ],
  },
  {
    name: 'system:aggregate-to-view',
    aggregateTo: 'view',
    rules: [
      on(
        READ,
        'core',
        'pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps',
      ),
      on(
        READ,
        'core',
        'limitranges resourcequotas bindings pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log',
      ),
      on(READ, 'core', 'namespaces'),
      on(READ, 'core events.k8s.io', 'events'),
      on(READ, 'discovery.k8s.io', 'endpointslices'),
      on(
        READ,
        'apps',
        `controllerrevisions ${WORKLOADS_READ} statefulsets statefulsets/status statefulsets/scale`,
      ),
      on(READ, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
      on(READ, 'batch', 'jobs cronjobs cronjobs/status jobs/status'),
      on(
        READ,
        'extensions',
        `${WORKLOADS_READ} ingresses ingresses/status replicationcontrollers/scale networkpolicies`,
      ),
      on(READ, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
      on(READ, 'networking.k8s.io', 'networkpolicies ingresses ingresses/status'),
      on(READ, 'resource.k8s.io', 'resourceclaims resourceclaims/status resourceclaimtemplates'),
    ],
  },
  {
    name: 'system:heapster',
    rules: [on(READ, 'core', 'events pods nodes namespaces'), on(READ, 'extensions', 'deployments')],
  },
  { name: 'system:node', rules: NODE_RULES },
  {
    name: 'system:node-problem-detector',
    rules: [on('get', 'core', 'nodes'), on('patch', 'core', 'nodes/status'), EVENTS],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      on(READ, 'core', 'nodes'),
      on('proxy', 'core', 'nodes'),
      on('*', 'core', 'nodes/proxy nodes/metrics nodes/stats nodes/log'),
      on('*', 'core', 'nodes/pods nodes/healthz nodes/configz'),
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: [on('create get list watch', CERTIFICATES, 'certificatesigningrequests')],
  },
  { name: 'system:auth-delegator', rules: REVIEWS },
  { name: 'system:kube-aggregator', rules: [on(READ, 'core', 'services endpoints')] },
  {
    name: 'system:kube-controller-manager',
    rules: [
      EVENTS,
      on('create', 'coordination.k8s.io', 'leases'),
      on('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
      on('create', 'core', 'secrets serviceaccounts'),
      on('delete', 'core', 'secrets'),
      on('get', 'core', 'namespaces secrets serviceaccounts configmaps'),
      on('update', 'core', 'secrets serviceaccounts'),
      ...REVIEWS,
      on('list watch', '*', '*'),
      on('create', 'core', 'serviceaccounts/token'),
    ],
  },
  { name: 'system:kube-dns', rules: [on('list watch', 'core', 'endpoints services')] },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      on('get list watch create delete', 'core', 'persistentvolumes'),
      on('get list watch update', 'core', 'persistentvolumeclaims'),
      on(READ, 'storage.k8s.io', 'storageclasses'),
      on('watch', 'core', 'events'),
      EVENTS,
    ],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [on('create', CERTIFICATES, 'certificatesigningrequests/nodeclient')],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [on('create', CERTIFICATES, 'certificatesigningrequests/selfnodeclient')],
  },
  {
    name: 'system:volume-scheduler',
    rules: [
      on(READ_UPDATE, 'core', 'persistentvolumes'),
      on(READ, 'storage.k8s.io', 'storageclasses'),
      on(READ_UPDATE, 'core', 'persistentvolumeclaims'),
    ],
  },
  ...['legacy-unknown', 'kubelet-serving', 'kube-apiserver-client', 'kube-apiserver-client-kubelet'].map(
    (signer) => ({
      name: `system:certificates.k8s.io:${signer}-approver`,
      rules: [on('approve', CERTIFICATES, 'signers', `kubernetes.io/${signer}`)],
    }),
  ),
  {
    name: 'system:service-account-issuer-discovery',
    // With a slash behind them as well, for clients made of older API documents.
    rules: [
      urls(
        'get',
        '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
      ),
    ],
  },
  {
    name: 'system:node-proxier',
    rules: [
      on('list watch', 'core', 'services endpoints'),
      on(READ, 'core', 'nodes'),
      EVENTS,
      on('list watch', 'networking.k8s.io', 'servicecidrs'),
      on('list watch', 'discovery.k8s.io', 'endpointslices'),
    ],
  },
  {
    name: 'system:kube-scheduler',
    rules: [
      EVENTS,
      on('create', 'coordination.k8s.io', 'leases'),
      on('get update list watch', 'coordination.k8s.io', 'leases', 'kube-scheduler'),
      on(READ_WRITE, 'coordination.k8s.io', 'leasecandidates'),
      on(READ, 'core', 'nodes'),
      on('get list watch delete', 'core', 'pods'),
      on('create', 'core', 'pods/binding bindings'),
      on('update patch', 'core', 'pods/status'),
      on(READ, 'core', 'services replicationcontrollers'),
      on(READ, 'apps extensions', 'replicasets'),
      on(READ, 'apps', 'statefulsets'),
      on(READ, 'policy', 'poddisruptionbudgets'),
      on(READ, 'core', 'persistentvolumeclaims persistentvolumes'),
      ...REVIEWS,
      on(READ, 'storage.k8s.io', 'csinodes'),
      on(READ, 'storage.k8s.io', 'volumeattachments'),
      on(READ, 'core', 'namespaces'),
      on(READ, 'storage.k8s.io', 'csidrivers'),
      on(READ, 'storage.k8s.io', 'csistoragecapacities'),
      on(READ, 'resource.k8s.io', 'deviceclasses'),
      on(READ_UPDATE, 'resource.k8s.io', 'resourceclaims'),
      on(READ_UPDATE, 'resource.k8s.io', 'resourceclaims/status'),
      on('update', 'core', 'pods/finalizers'),
      on(READ, 'resource.k8s.io', 'resourceslices'),
      on('create delete', 'resource.k8s.io', 'resourceclaims'),
      on('update patch', 'resource.k8s.io', 'resourceclaims/binding'),
    ],
  },
];

const user = (name: string): Subject => ({ kind: 'User', apiGroup: RBAC_GROUP, name });
const group = (name: string): Subject => ({ kind: 'Group', apiGroup: RBAC_GROUP, name });
const account = (name: string, namespace = 'kube-system'): Subject => ({
  kind: 'ServiceAccount',
  name,
  namespace,
});

/** Role and subjects; a binding has its role's name. */
const CLUSTER_BINDINGS: readonly [string, readonly Subject[]][] = [
  ['cluster-admin', [group('system:masters')]],
  ['system:monitoring', [group('system:monitoring')]],
  ['system:discovery', [group('system:authenticated')]],
  ['system:basic-user', [group('system:authenticated')]],
  ['system:public-info-viewer', [group('system:authenticated'), group('system:unauthenticated')]],
  ['system:node-proxier', [user('system:kube-proxy')]],
  ['system:kube-controller-manager', [user('system:kube-controller-manager')]],
  ['system:kube-dns', [account('kube-dns')]],
  ['system:kube-scheduler', [user('system:kube-scheduler')]],
  ['system:volume-scheduler', [user('system:kube-scheduler')]],
  // Nodes get what they need from the Node authorizer; who wants it otherwise adds the group himself.
  ['system:node', []],
  ['system:service-account-issuer-discovery', [group('system:serviceaccounts')]],
  ...CONTROLLER_ROLES.map(({ name }): [string, readonly Subject[]] => [
    name,
    [account(name.slice(CONTROLLER_PREFIX.length))],
  ]),
];

const KCM = 'system::leader-locking-kube-controller-manager';
const SCHEDULER = 'system::leader-locking-kube-scheduler';
const AUTHENTICATION_READER = 'extension-apiserver-authentication-reader';
const SIGNER = `${CONTROLLER_PREFIX}bootstrap-signer`;
const CLOUD = `${CONTROLLER_PREFIX}cloud-provider`;
const CLEANER = `${CONTROLLER_PREFIX}token-cleaner`;
const LOCK_VERBS = 'get watch list create update';
const LEADER_LOCKING: readonly PolicyRule[] = [
  on(LOCK_VERBS, 'coordination.k8s.io', 'leases'),
  on(LOCK_VERBS, 'coordination.k8s.io', 'leasecandidates'),
];

/** Namespace, name and rules. */
const ROLES: readonly [string, string, readonly PolicyRule[]][] = [
  [
    'kube-system',
    AUTHENTICATION_READER,
    [on(READ, 'core', 'configmaps', 'extension-apiserver-authentication')],
  ],
  ['kube-system', SIGNER, [on(READ, 'core', 'secrets')]],
  ['kube-system', CLOUD, [on('create get list watch', 'core', 'configmaps')]],
  ['kube-system', CLEANER, [on('get list watch delete', 'core', 'secrets'), EVENTS]],
  ['kube-system', KCM, LEADER_LOCKING],
  ['kube-system', SCHEDULER, LEADER_LOCKING],
  [
    'kube-public',
    SIGNER,
    [on(READ, 'core', 'configmaps'), on('update', 'core', 'configmaps', 'cluster-info'), EVENTS],
  ],
];

/** Namespace, name, role and subjects. */
const BINDINGS: readonly [string, string, string, readonly Subject[]][] = [
  [
    'kube-system',
    `system::${AUTHENTICATION_READER}`,
    AUTHENTICATION_READER,
    [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  ],
  [
    'kube-system',
    KCM,
    KCM,
    [
      user('system:kube-controller-manager'),
      account('kube-controller-manager'),
      account('leader-election-controller'),
    ],
  ],
  ['kube-system', SCHEDULER, SCHEDULER, [user('system:kube-scheduler'), account('kube-scheduler')]],
  ['kube-system', SIGNER, SIGNER, [account('bootstrap-signer')]],
  ['kube-system', CLOUD, CLOUD, [account('cloud-provider')]],
  ['kube-system', CLEANER, CLEANER, [account('token-cleaner')]],
  ['kube-public', SIGNER, SIGNER, [account('bootstrap-signer')]],
];

/** Everything a server makes sure of at its start. */
export interface BootstrapPolicy {
  readonly clusterRoles: readonly KubeObject[];
  readonly clusterRoleBindings: readonly KubeObject[];
  readonly roles: readonly KubeObject[];
  readonly roleBindings: readonly KubeObject[];
}

/** The default objects, built anew. */
export function bootstrapPolicy(): BootstrapPolicy {
  return {
    clusterRoles: [...CLUSTER_ROLES, ...CONTROLLER_ROLES].map(clusterRole),
    clusterRoleBindings: CLUSTER_BINDINGS.map(([name, subjects]) =>
      binding('ClusterRoleBinding', metadata(name), 'ClusterRole', name, subjects),
    ),
    roles: ROLES.map(([namespace, name, rules]) => ({
      apiVersion: API_VERSION,
      kind: 'Role',
      metadata: metadata(name, namespace),
      rules,
    })),
    roleBindings: BINDINGS.map(([namespace, name, role, subjects]) =>
      binding('RoleBinding', metadata(name, namespace), 'Role', role, subjects),
    ),
  };
}

function clusterRole({ name, rules, aggregateTo, aggregates }: PolicyRole): KubeObject {
  const meta = metadata(name);
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata:
      aggregateTo === undefined
        ? meta
        : { ...meta, labels: { ...LABELS, [`${AGGREGATE}${aggregateTo}`]: 'true' } },
    ...(aggregates === undefined
      ? {}
      : {
          aggregationRule: {
            clusterRoleSelectors: [{ matchLabels: { [`${AGGREGATE}${aggregates}`]: 'true' } }],
          },
        }),
    rules: aggregates === undefined ? rules : null,
  };
}

function binding(
  kind: 'ClusterRoleBinding' | 'RoleBinding',
  meta: ObjectMeta,
  roleKind: string,
  role: string,
  subjects: readonly Subject[],
): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: meta,
    roleRef: { apiGroup: RBAC_GROUP, kind: roleKind, name: role },
    ...(subjects.length === 0 ? {} : { subjects }),
  };
}

function metadata(name: string, namespace?: string): ObjectMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: LABELS,
    annotations: { [AUTOUPDATE]: 'true' },
  };
}
