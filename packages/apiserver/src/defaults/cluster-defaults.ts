/**
 * Defaults of the groups around workloads: RBAC, networking, discovery, storage, scheduling, admission, APIs,
 * flow control, devices.
 */

import type { JsonObject } from '../api/json.ts';
import { has, parts, part, text, withField } from '../validation/value.ts';
import { withAbsent } from './absent.ts';
import type { DefaultRule, DefaultRules } from './defaulter.ts';

const RBAC_GROUP = 'rbac.authorization.k8s.io';

const binding: DefaultRule = (value) =>
  withField(value, 'roleRef', withAbsent(part(value, 'roleRef'), { apiGroup: RBAC_GROUP }));

const webhook =
  (mutating: boolean): DefaultRule =>
  (value) =>
    withAbsent(value, {
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
      ...(mutating ? { reinvocationPolicy: 'Never' } : {}),
    });

const matchResources: DefaultRule = (value) =>
  withAbsent(value, { namespaceSelector: {}, objectSelector: {}, matchPolicy: 'Equivalent' });

const deviceRequest: DefaultRule = (value) => {
  if (!has(value, 'deviceClassName') || text(value, 'deviceClassName') === '') return value;
  const filled = withAbsent(value, { allocationMode: 'ExactCount' });
  const counted = text(filled, 'allocationMode') === 'ExactCount' && !filled['count'];
  return counted ? { ...filled, count: 1 } : filled;
};

export const CLUSTER_DEFAULTS: DefaultRules = {
  'rbac.v1.RoleBinding': binding,
  'rbac.v1.ClusterRoleBinding': binding,
  'rbac.v1.Subject': (subject) => {
    const kind = text(subject, 'kind');
    return kind === 'User' || kind === 'Group' ? withAbsent(subject, { apiGroup: RBAC_GROUP }) : subject;
  },
  'networking.v1.NetworkPolicyPort': (port) => withAbsent(port, { protocol: 'TCP' }),
  'networking.v1.NetworkPolicySpec': (spec) =>
    has(spec, 'policyTypes')
      ? spec
      : { ...spec, policyTypes: parts(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'] },
  'networking.v1.IngressClassParametersReference': (value) => withAbsent(value, { scope: 'Cluster' }),
  'discovery.v1.EndpointPort': (port) =>
    withAbsent(has(port, 'name') ? port : { ...port, name: '' }, { protocol: 'TCP' }),
  'storage.v1.StorageClass': (value) =>
    withAbsent(value, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
  'storage.v1.CSIDriverSpec': (spec) => {
    const filled = withAbsent(spec, {
      attachRequired: true,
      podInfoOnMount: false,
      storageCapacity: false,
      fsGroupPolicy: 'ReadWriteOnceWithFSType',
      requiresRepublish: false,
      seLinuxMount: false,
    });
    return parts(filled, 'volumeLifecycleModes').length === 0 && !has(filled, 'volumeLifecycleModes')
      ? { ...filled, volumeLifecycleModes: ['Persistent'] }
      : filled;
  },
  'scheduling.v1.PriorityClass': (value) => withAbsent(value, { preemptionPolicy: 'PreemptLowerPriority' }),
  'admissionregistration.v1.ValidatingWebhook': webhook(false),
  'admissionregistration.v1.MutatingWebhook': webhook(true),
  'admissionregistration.v1.Rule': (rule) => withAbsent(rule, { scope: '*' }),
  'admissionregistration.v1.ServiceReference': (value) => withAbsent(value, { port: 443 }),
  'admissionregistration.v1.MatchResources': matchResources,
  'admissionregistration.v1.ValidatingAdmissionPolicySpec': (spec) =>
    withAbsent(spec, { failurePolicy: 'Fail' }),
  'admissionregistration.v1.MutatingAdmissionPolicySpec': (spec) =>
    withAbsent(spec, { failurePolicy: 'Fail' }),
  'admissionregistration.v1.ParamRef': (value) => withAbsent(value, { parameterNotFoundAction: 'Deny' }),
  'apiregistration.v1.ServiceReference': (value) => withAbsent(value, { port: 443 }),
  'flowcontrol.v1.FlowSchemaSpec': (spec) =>
    spec['matchingPrecedence'] ? spec : { ...spec, matchingPrecedence: 1000 },
  'flowcontrol.v1.ExemptPriorityLevelConfiguration': (value) =>
    withAbsent(value, { nominalConcurrencyShares: 0, lendablePercent: 0 }),
  'flowcontrol.v1.LimitedPriorityLevelConfiguration': (value) =>
    withAbsent(value, { nominalConcurrencyShares: 30, lendablePercent: 0 }),
  'flowcontrol.v1.QueuingConfiguration': (value) =>
    zeroes(value, { queues: 64, handSize: 8, queueLengthLimit: 50 }),
  'resource.v1.ExactDeviceRequest': deviceRequest,
  'resource.v1.DeviceSubRequest': deviceRequest,
  // One that leaves the choice to others says nothing itself.
  'resource.v1beta1.DeviceRequest': (request) =>
    text(request, 'deviceClassName') === '' ? request : deviceRequest(request),
};

/** With these numbers where the value has zero. */
function zeroes(value: JsonObject, defaults: Readonly<Record<string, number>>): JsonObject {
  let filled = value;
  for (const [name, member] of Object.entries(defaults)) {
    if (!filled[name]) filled = { ...filled, [name]: member };
  }
  return filled;
}
