/**
 * The priority levels and flow schemas every cluster has from its start: data, as kubernetes 1.36 makes them. The
 * mandatory ones are what the server works by whatever is stored; the suggested ones belong to the administrator
 * as soon as he says so.
 */

import type { KubeObject } from '../api/meta.ts';

export const AUTOUPDATE = 'apf.kubernetes.io/autoupdate-spec';
const API_VERSION = 'flowcontrol.apiserver.k8s.io/v1';

const KUBE_SYSTEM = 'kube-system';
const CONTROLLER_MANAGER = 'system:kube-controller-manager';
const SCHEDULER = 'system:kube-scheduler';

/** Shares, percent that may be lent, and the queues: their number, hand size, length. */
type Level = readonly [
  shares: number,
  lendable: number,
  queues?: readonly [count: number, hand: number, length: number],
];

const SUGGESTED_LEVELS: Readonly<Record<string, Level>> = {
  system: [30, 33, [64, 6, 50]],
  'node-high': [40, 25, [64, 6, 50]],
  'leader-election': [10, 0, [16, 4, 50]],
  'workload-high': [40, 50, [128, 6, 50]],
  'workload-low': [100, 90, [128, 6, 50]],
  'global-default': [20, 50, [128, 6, 50]],
};

interface Rule {
  readonly subjects: readonly object[];
  readonly resourceRules?: readonly object[];
  readonly nonResourceRules?: readonly object[];
}

const groups = (...names: string[]): object[] => names.map((name) => ({ kind: 'Group', group: { name } }));
const users = (...names: string[]): object[] => names.map((name) => ({ kind: 'User', user: { name } }));
const systemAccounts = { kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: KUBE_SYSTEM } };

function resourceRule(
  verbs: readonly string[],
  group: string,
  resources: readonly string[],
  clusterScope: boolean,
): object {
  return {
    verbs,
    apiGroups: [group],
    resources,
    ...(clusterScope ? { clusterScope } : {}),
    namespaces: ['*'],
  };
}

function everything(subjects: readonly object[]): Rule {
  return {
    subjects,
    resourceRules: [resourceRule(['*'], '*', ['*'], true)],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  };
}

const EVERYBODY = groups('system:unauthenticated', 'system:authenticated');
const LEASES = resourceRule(['get', 'create', 'update'], 'coordination.k8s.io', ['leases'], false);

/** Name, level, precedence, what tells flows apart, and the rule. */
type Schema = readonly [string, string, number, 'ByUser' | 'ByNamespace' | undefined, Rule];

const SUGGESTED_SCHEMAS: readonly Schema[] = [
  [
    'probes',
    'exempt',
    2,
    undefined,
    {
      subjects: EVERYBODY,
      nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
    },
  ],
  [
    'system-leader-election',
    'leader-election',
    100,
    'ByUser',
    { subjects: [...users(CONTROLLER_MANAGER, SCHEDULER), systemAccounts], resourceRules: [LEASES] },
  ],
  [
    'system-node-high',
    'node-high',
    400,
    'ByUser',
    {
      subjects: groups('system:nodes'),
      resourceRules: [
        resourceRule(['*'], '', ['nodes', 'nodes/status'], true),
        resourceRule(['*'], 'coordination.k8s.io', ['leases'], false),
      ],
    },
  ],
  ['system-nodes', 'system', 500, 'ByUser', everything(groups('system:nodes'))],
  ['kube-controller-manager', 'workload-high', 800, 'ByNamespace', everything(users(CONTROLLER_MANAGER))],
  ['kube-scheduler', 'workload-high', 800, 'ByNamespace', everything(users(SCHEDULER))],
  ['kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everything([systemAccounts])],
  ['service-accounts', 'workload-low', 9_000, 'ByUser', everything(groups('system:serviceaccounts'))],
  ['global-default', 'global-default', 9_900, 'ByUser', everything(EVERYBODY)],
];

const MANDATORY_SCHEMAS: readonly Schema[] = [
  ['exempt', 'exempt', 1, undefined, everything(groups('system:masters'))],
  ['catch-all', 'catch-all', 10_000, 'ByUser', everything(EVERYBODY)],
];

export interface FlowControlObjects {
  readonly priorityLevels: readonly KubeObject[];
  readonly flowSchemas: readonly KubeObject[];
}

/** Kept as they are here whatever somebody writes. */
export function mandatoryObjects(): FlowControlObjects {
  return {
    priorityLevels: [
      object('PriorityLevelConfiguration', 'exempt', {
        type: 'Exempt',
        exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 },
      }),
      level('catch-all', [5, 0]),
    ],
    flowSchemas: MANDATORY_SCHEMAS.map(schema),
  };
}

/** Kept as they are here until an administrator takes them over. */
export function suggestedObjects(): FlowControlObjects {
  return {
    priorityLevels: Object.entries(SUGGESTED_LEVELS).map(([name, facts]) => level(name, facts)),
    flowSchemas: SUGGESTED_SCHEMAS.map(schema),
  };
}

function object(kind: string, name: string, spec: object): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, annotations: { [AUTOUPDATE]: 'true' } },
    spec,
  };
}

function level(name: string, [shares, lendablePercent, queues]: Level): KubeObject {
  return object('PriorityLevelConfiguration', name, {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      limitResponse:
        queues === undefined
          ? { type: 'Reject' }
          : {
              type: 'Queue',
              queuing: { queues: queues[0], handSize: queues[1], queueLengthLimit: queues[2] },
            },
      lendablePercent,
    },
  });
}

function schema([name, priorityLevel, matchingPrecedence, distinguisher, rule]: Schema): KubeObject {
  return object('FlowSchema', name, {
    priorityLevelConfiguration: { name: priorityLevel },
    matchingPrecedence,
    ...(distinguisher === undefined ? {} : { distinguisherMethod: { type: distinguisher } }),
    rules: [rule],
  });
}
