/**
 * Every resource the server has from the start, in the order of the reference's table, each with the defaults of
 * its types. Kinds whose checks stop short of the original's are named in PARTLY_CHECKED, so that nobody takes
 * them for whole.
 */

import { describeResource } from '../../api/meta.ts';
import { BUILT_IN_DEFAULTS } from '../../defaults/built-in-defaults.ts';
import { Defaulter } from '../../defaults/defaulter.ts';
import { BUILT_IN_PRINTERS } from '../../printers/built-in-printers.ts';
import { printedAs, type TablePrinter } from '../../printers/printer.ts';
import type { TypeTable } from '../../schema/type-table.ts';
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from '../admissionregistration/policies.ts';
import {
  mutatingWebhookConfigurations,
  validatingWebhookConfigurations,
} from '../admissionregistration/webhooks.ts';
import { apiServices } from '../apiregistration/apiservices.ts';
import { controllerRevisions } from '../apps/controllerrevisions.ts';
import { daemonSets } from '../apps/daemonsets.ts';
import { deployments } from '../apps/deployments.ts';
import { replicaSets } from '../apps/replicasets.ts';
import { statefulSets } from '../apps/statefulsets.ts';
import { horizontalPodAutoscalers } from '../autoscaling/horizontalpodautoscalers.ts';
import { cronJobs } from '../batch/cronjobs.ts';
import { jobs } from '../batch/jobs.ts';
import { certificateSigningRequests } from '../certificates/certificatesigningrequests.ts';
import { leases } from '../coordination/leases.ts';
import { bindings } from '../core/bindings.ts';
import { configMaps } from '../core/configmaps.ts';
import { NO_CONNECTOR, withConnections, type Connector } from '../core/connections.ts';
import { endpoints } from '../core/endpoints.ts';
import { coreEvents, events } from '../core/events.ts';
import { limitRanges } from '../core/limitranges.ts';
import { namespaces } from '../core/namespaces.ts';
import { nodes } from '../core/nodes.ts';
import { persistentVolumeClaims } from '../core/persistentvolumeclaims.ts';
import { persistentVolumes } from '../core/persistentvolumes.ts';
import { pods } from '../core/pods.ts';
import { podTemplates } from '../core/podtemplates.ts';
import { replicationControllers } from '../core/replicationcontrollers.ts';
import { resourceQuotas } from '../core/resourcequotas.ts';
import { secrets } from '../core/secrets.ts';
import { serviceAccounts } from '../core/serviceaccounts.ts';
import { DEFAULT_SERVICE_RANGES, serviceHooks, type ServiceRanges } from '../core/service-hooks.ts';
import { services } from '../core/services.ts';
import { endpointSlices } from '../discovery/endpointslices.ts';
import { flowSchemas, priorityLevelConfigurations } from '../flowcontrol/flow-control.ts';
import { ipAddresses, serviceCidrs } from '../networking/addresses.ts';
import { ingressClasses } from '../networking/ingressclasses.ts';
import { ingresses } from '../networking/ingresses.ts';
import { networkPolicies } from '../networking/networkpolicies.ts';
import { runtimeClasses } from '../node/runtimeclasses.ts';
import { podDisruptionBudgets } from '../policy/poddisruptionbudgets.ts';
import { clusterRoleBindings, roleBindings } from '../rbac/bindings.ts';
import { clusterRoles, roles } from '../rbac/roles.ts';
import {
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
} from '../resource/devices.ts';
import type { ResourceDefinition, VersionDefinition } from '../resource.ts';
import { withEarlierDefaults, withEarlierVersions } from './earlier-versions.ts';
import { storageVersions } from '../apiserverinternal/storageversions.ts';
import { clusterTrustBundles } from '../certificates/clustertrustbundles.ts';
import { podCertificateRequests } from '../certificates/podcertificaterequests.ts';
import { leaseCandidates } from '../coordination/leasecandidates.ts';
import { deviceTaintRules, resourcePoolStatusRequests } from '../resource/taint-rules.ts';
import { podGroups, workloads } from '../scheduling/workloads.ts';
import { storageVersionMigrations } from '../storagemigration/storageversionmigrations.ts';
import { priorityClasses } from '../scheduling/priorityclasses.ts';
import { csiDrivers, csiNodes, csiStorageCapacities, volumeAttachments } from '../storage/csi.ts';
import { storageClasses, volumeAttributesClasses } from '../storage/storageclasses.ts';

/** Kinds that are served where --runtime-config, and some of them --feature-gates, ask for them. */
const OFF_KINDS: readonly ResourceDefinition[] = [
  clusterTrustBundles,
  podCertificateRequests,
  leaseCandidates,
  storageVersions,
  deviceTaintRules,
  resourcePoolStatusRequests,
  podGroups,
  workloads,
  storageVersionMigrations,
];

export const STORED_KINDS: readonly ResourceDefinition[] = [
  configMaps,
  endpoints,
  coreEvents,
  limitRanges,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  podTemplates,
  replicationControllers,
  resourceQuotas,
  secrets,
  serviceAccounts,
  services,
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
  apiServices,
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  horizontalPodAutoscalers,
  cronJobs,
  jobs,
  certificateSigningRequests,
  leases,
  endpointSlices,
  events,
  flowSchemas,
  priorityLevelConfigurations,
  ingressClasses,
  ingresses,
  ipAddresses,
  networkPolicies,
  serviceCidrs,
  runtimeClasses,
  podDisruptionBudgets,
  clusterRoleBindings,
  clusterRoles,
  roleBindings,
  roles,
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  priorityClasses,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
  ...OFF_KINDS,
];

/**
 * Kinds with part of the original's checks, and what they lack. The build compares this with the kinds that have
 * no refused case in test/testdata/kinds: one that refuses nothing and stands here nowhere fails it.
 */
export const PARTLY_CHECKED: Readonly<Record<string, string>> = {
  'resourceclaims.resource.k8s.io': 'the allocation in the status is not checked; CEL is not compiled',
  'resourceslices.resource.k8s.io': 'attributes, capacities and counters of devices are not checked',
  'deviceclasses.resource.k8s.io': 'CEL is not compiled',
  'podcertificaterequests.certificates.k8s.io':
    'an issued chain is not compared with the key and its times; who may sign is not asked',
  'podgroups.scheduling.k8s.io': 'what stands behind features of its own is left out',
  'workloads.scheduling.k8s.io': 'what stands behind features of its own is left out',
};

/**
 * All kinds with the defaults of their types and the columns of `kubectl get`. One call per server.
 *
 * @param connector who reaches nodes, for exec and its kin; without it they are served, and refuse
 */
export function builtInResources(
  types: TypeTable,
  ranges: ServiceRanges = DEFAULT_SERVICE_RANGES,
  connector: Connector = NO_CONNECTOR,
): ResourceDefinition[] {
  const defaulter = new Defaulter(types, withEarlierDefaults(BUILT_IN_DEFAULTS));
  return withConnections([bindings, ...STORED_KINDS], connector)
    .map(withEarlierVersions)
    .map((definition) => ({
      ...definition,
      ...(definition.group === services.group && definition.resource === services.resource
        ? { hooks: serviceHooks(ranges) }
        : {}),
      versions: definition.versions.map((version) => {
        const defaults = defaulter.forType(version.typeName);
        const printer = printerOf(definition, version);
        return {
          ...version,
          ...(defaults === undefined ? {} : { defaults }),
          ...(printer === undefined ? {} : { printer }),
        };
      }),
    }));
}

/** The columns of a kind; an object of another version than the stored one is read as that. */
function printerOf(definition: ResourceDefinition, { version }: VersionDefinition): TablePrinter | undefined {
  const printer = BUILT_IN_PRINTERS.get(describeResource(definition));
  const { backing } = definition;
  if (printer === undefined || backing.kind !== 'stored') return printer;
  if (backing.version.group === definition.group && backing.version.version === version) return printer;
  return printedAs(printer, (object) => definition.convert?.(object, backing.version) ?? object);
}
