/**
 * The plugins of a server, in the original's order: those that are on by default, with what
 * --enable-admission-plugins adds and --disable-admission-plugins takes away. The door of this room.
 *
 * Modelled on kube-apiserver's kubeapiserver/options/plugins.go and apiserver's server/options/admission.go.
 */

import type { AdmissionPlugin } from './admission.ts';
import { checkFunctions, functionsBefore } from './functions/function-plugin.ts';
import type { PluginContext } from './plugin-context.ts';
import { alwaysAdmit, alwaysDeny } from './plugins/always-admit.ts';
import { alwaysPullImages } from './plugins/always-pull-images.ts';
import { certificateApproval } from './plugins/certificate-approval.ts';
import { certificateSigning } from './plugins/certificate-signing.ts';
import { certificateSubjectRestriction } from './plugins/certificate-subject-restriction.ts';
import { clusterTrustBundleAttest } from './plugins/cluster-trust-bundle-attest.ts';
import { defaultIngressClass } from './plugins/default-ingress-class.ts';
import { defaultStorageClass } from './plugins/default-storage-class.ts';
import { defaultTolerationSeconds } from './plugins/default-toleration-seconds.ts';
import { denyServiceExternalIPs } from './plugins/deny-service-external-ips.ts';
import { eventRateLimit } from './plugins/event-rate-limit.ts';
import { extendedResourceToleration } from './plugins/extended-resource-toleration.ts';
import { imagePolicyWebhook } from './plugins/image-policy-webhook.ts';
import { limitPodHardAntiAffinityTopology } from './plugins/limit-pod-hard-anti-affinity-topology.ts';
import { limitRanger } from './plugins/limit-ranger.ts';
import { mutatingAdmissionPolicy } from './plugins/mutating-admission-policy.ts';
import { mutatingAdmissionWebhook } from './plugins/mutating-webhook.ts';
import { namespaceLifecycle } from './plugins/namespace-lifecycle.ts';
import { namespaceAutoProvision, namespaceExists } from './plugins/namespace-presence.ts';
import { nodeRestriction } from './plugins/node-restriction.ts';
import { ownerReferencesPermissionEnforcement } from './plugins/owner-references-permission-enforcement.ts';
import { persistentVolumeClaimResize } from './plugins/persistent-volume-claim-resize.ts';
import { podNodeSelector } from './plugins/pod-node-selector.ts';
import { podSecurity } from './plugins/pod-security.ts';
import { podTolerationRestriction } from './plugins/pod-toleration-restriction.ts';
import { podTopologyLabels } from './plugins/pod-topology-labels.ts';
import { priority } from './plugins/priority.ts';
import { resourceQuota } from './plugins/resource-quota.ts';
import { runtimeClass } from './plugins/runtime-class.ts';
import { serviceAccount } from './plugins/service-account.ts';
import { storageObjectInUseProtection } from './plugins/storage-object-in-use-protection.ts';
import { taintNodesByCondition } from './plugins/taint-nodes-by-condition.ts';
import { validatingAdmissionPolicy } from './plugins/validating-admission-policy.ts';
import { validatingAdmissionWebhook } from './plugins/validating-webhook.ts';

/** Undefined: what the plugin needs is not there. */
type Make = (context: PluginContext) => AdmissionPlugin | undefined;

interface Entry {
  readonly name: string;
  /** On unless it is disabled. */
  readonly on: boolean;
  /** Undefined: known by name only; it does nothing when it is enabled. */
  readonly make?: Make;
}

function on(name: string, make?: Make): Entry {
  return { name, on: true, ...(make === undefined ? {} : { make }) };
}

function off(name: string, make?: Make): Entry {
  return { name, on: false, ...(make === undefined ? {} : { make }) };
}

/** All names, in the order in which they are asked. */
const ENTRIES: readonly Entry[] = [
  off('AlwaysAdmit', alwaysAdmit),
  off('NamespaceAutoProvision', namespaceAutoProvision),
  on('NamespaceLifecycle', namespaceLifecycle),
  off('NamespaceExists', namespaceExists),
  off('LimitPodHardAntiAffinityTopology', limitPodHardAntiAffinityTopology),
  on('LimitRanger', limitRanger),
  on('ServiceAccount', serviceAccount),
  off('NodeRestriction', nodeRestriction),
  on('TaintNodesByCondition', taintNodesByCondition),
  off('AlwaysPullImages', alwaysPullImages),
  off('ImagePolicyWebhook', imagePolicyWebhook),
  on('PodSecurity', podSecurity),
  off('PodNodeSelector', podNodeSelector),
  on('Priority', priority),
  on('DefaultTolerationSeconds', defaultTolerationSeconds),
  off('PodTolerationRestriction', podTolerationRestriction),
  off('EventRateLimit', eventRateLimit),
  off('ExtendedResourceToleration', extendedResourceToleration),
  on('DefaultStorageClass', defaultStorageClass),
  on('StorageObjectInUseProtection', storageObjectInUseProtection),
  off('OwnerReferencesPermissionEnforcement', ownerReferencesPermissionEnforcement),
  on('PersistentVolumeClaimResize', persistentVolumeClaimResize),
  on('RuntimeClass', runtimeClass),
  on('CertificateApproval', certificateApproval),
  on('CertificateSigning', certificateSigning),
  on('ClusterTrustBundleAttest', clusterTrustBundleAttest),
  on('CertificateSubjectRestriction', certificateSubjectRestriction),
  on('DefaultIngressClass', defaultIngressClass),
  off('DenyServiceExternalIPs', denyServiceExternalIPs),
  on('PodTopologyLabels', podTopologyLabels),
  // The next four guard features that are off by default in 1.36 and not served here.
  on('PodGroupWorkloadExists'),
  on('NodeDeclaredFeatureValidator'),
  on('JobValidation'),
  on('PodResizeValidator'),
  on('MutatingAdmissionPolicy', mutatingAdmissionPolicy),
  on('MutatingAdmissionWebhook', mutatingAdmissionWebhook),
  on('ValidatingAdmissionPolicy', validatingAdmissionPolicy),
  on('ValidatingAdmissionWebhook', validatingAdmissionWebhook),
  on('ResourceQuota', resourceQuota),
  off('AlwaysDeny', alwaysDeny),
];

/** All plugins that flags may name, in order. */
export const PLUGIN_NAMES: readonly string[] = ENTRIES.map(({ name }) => name);

export interface PluginFlags {
  /** --enable-admission-plugins. */
  readonly enable?: readonly string[];
  /** --disable-admission-plugins. */
  readonly disable?: readonly string[];
  /** --admission-control, older than the others: these and no more. Empty: not given. */
  readonly only?: readonly string[];
}

/** What is wrong with the flags, in the original's words; empty when nothing is. */
export function pluginFlagErrors({ enable = [], disable = [], only = [] }: PluginFlags): string[] {
  const errors: string[] = [];
  if (only.length > 0 && enable.length + disable.length > 0) {
    errors.push(
      'admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive',
    );
  }
  for (const name of only) {
    if (!PLUGIN_NAMES.includes(name))
      errors.push(`admission-control plugin ${JSON.stringify(name)} is unknown`);
  }
  for (const name of enable) {
    if (!PLUGIN_NAMES.includes(name)) {
      errors.push(`enable-admission-plugins plugin ${JSON.stringify(name)} is unknown`);
    }
  }
  for (const name of disable) {
    if (!PLUGIN_NAMES.includes(name)) {
      errors.push(`disable-admission-plugins plugin ${JSON.stringify(name)} is unknown`);
    }
  }
  const both = [...new Set(enable.filter((name) => disable.includes(name)))].toSorted();
  if (both.length > 0) {
    errors.push(`[${both.join(' ')}] in enable-admission-plugins and disable-admission-plugins overlapped`);
  }
  return errors;
}

/** Flags that name what is not there. */
export class PluginFlagsError extends Error {
  override readonly name = 'PluginFlagsError';
}

/** Before policies and webhooks, which then see what a function made. */
const FUNCTIONS_BEFORE = 'MutatingAdmissionPolicy';

/**
 * The plugins in their order, functions of the process among them.
 *
 * @throws PluginFlagsError with all that is wrong with the flags; Error for functions that cannot be
 */
export function defaultPlugins(context: PluginContext, flags: PluginFlags = {}): AdmissionPlugin[] {
  const errors = pluginFlagErrors(flags);
  if (errors.length > 0) throw new PluginFlagsError(errors.join(', '));
  const { enable = [], disable = [], only = [] } = flags;
  checkFunctions(context.functions?.functions ?? [], PLUGIN_NAMES);
  return ENTRIES.flatMap(({ name, on: byDefault, make }) => {
    const functions = functionsBefore(name, context.functions, FUNCTIONS_BEFORE);
    const wanted =
      only.length > 0 ? only.includes(name) : byDefault ? !disable.includes(name) : enable.includes(name);
    const plugin = wanted ? make?.(context) : undefined;
    return plugin === undefined ? functions : [...functions, plugin];
  });
}
