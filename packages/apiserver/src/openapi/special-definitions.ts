/**
 * Facts of OpenAPI that no Go field tells: definitions of scalars and free forms that have a name, unions that are
 * marked as such, and the versions under which options travel. Data only.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { parseApiVersion, type GroupVersion } from '../api/meta.ts';
import { definitionName, NAMED } from './definition-names.ts';

/** What a named scalar or free form looks like, in version 2 and, where it is said otherwise there, in version 3. */
interface Form {
  readonly v2: JsonObject;
  readonly v3?: JsonObject;
}

const TEXT: JsonObject = { type: 'string' };
const OBJECT: JsonObject = { type: 'object' };
const DATE_TIME: JsonObject = { type: 'string', format: 'date-time' };
const APIEXTENSIONS = 'apiextensions.v1.';

const VERSION_FIELDS: readonly string[] = [
  'major',
  'minor',
  'gitVersion',
  'gitCommit',
  'gitTreeState',
  'buildDate',
  'goVersion',
  'compiler',
  'platform',
];
const COMPATIBILITY_FIELDS: readonly string[] = [
  'emulationMajor',
  'emulationMinor',
  'minCompatibilityMajor',
  'minCompatibilityMinor',
];

function versionInfo(told: JsonObject): JsonObject {
  const properties: Record<string, Json> = {};
  for (const name of VERSION_FIELDS) properties[name] = told;
  for (const name of COMPATIBILITY_FIELDS) properties[name] = TEXT;
  return { type: 'object', properties, required: VERSION_FIELDS };
}

const FORMS: ReadonlyMap<string, Form> = new Map<string, Form>([
  [NAMED.quantity, { v2: TEXT, v3: { oneOf: [{ type: 'string' }, { type: 'number' }] } }],
  [
    NAMED.intOrString,
    {
      v2: { type: 'string', format: 'int-or-string' },
      v3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
    },
  ],
  [NAMED.time, { v2: DATE_TIME }],
  [NAMED.microTime, { v2: DATE_TIME }],
  [NAMED.duration, { v2: TEXT }],
  [NAMED.rawExtension, { v2: OBJECT }],
  [NAMED.fieldsV1, { v2: OBJECT }],
  [NAMED.patch, { v2: OBJECT }],
  [NAMED.version, { v2: versionInfo(TEXT), v3: versionInfo({ type: 'string', default: '' }) }],
  [definitionName(`${APIEXTENSIONS}JSON`), { v2: {} }],
  [definitionName(`${APIEXTENSIONS}JSONSchemaPropsOrArray`), { v2: {} }],
  [definitionName(`${APIEXTENSIONS}JSONSchemaPropsOrBool`), { v2: {} }],
  [definitionName(`${APIEXTENSIONS}JSONSchemaPropsOrStringArray`), { v2: {} }],
]);

/** The definition of one of those; undefined for the types of the fact table. */
export function namedDefinition(key: string, dialect: 'v2' | 'v3'): JsonObject | undefined {
  const form = FORMS.get(key);
  return form && (dialect === 'v3' ? (form.v3 ?? form.v2) : form.v2);
}

/** Structs of which one field is set at a time, and which field tells. */
export const UNIONS: Readonly<Record<string, Json>> = {
  'core.v1.AppArmorProfile': union({ localhostProfile: 'LocalhostProfile' }, 'type'),
  'core.v1.PodSchedulingGroup': union({ podGroupName: 'PodGroupName' }),
  'core.v1.SeccompProfile': union({ localhostProfile: 'LocalhostProfile' }, 'type'),
  'flowcontrol.v1.LimitResponse': union({ queuing: 'Queuing' }, 'type'),
  'flowcontrol.v1.PriorityLevelConfigurationSpec': union({ exempt: 'Exempt', limited: 'Limited' }, 'type'),
  'flowcontrol.v1.Subject': union({ group: 'Group', serviceAccount: 'ServiceAccount', user: 'User' }, 'kind'),
  'scheduling.v1alpha2.PodGroupSchedulingPolicy': union({ basic: 'Basic', gang: 'Gang' }),
  'scheduling.v1alpha2.PodGroupTemplateReference': union({ workload: 'Workload' }),
};

/** Marks that say what holds anyway, on the fields that carry them. */
export const SPOKEN_MARKS: Readonly<Record<string, JsonObject>> = {
  'core.v1.PersistentVolumeClaimStatus.allocatedResourceStatuses': { 'x-kubernetes-map-type': 'granular' },
  'core.v1.PersistentVolumeSpec.claimRef': { 'x-kubernetes-map-type': 'granular' },
  'policy.v1.PodDisruptionBudgetSpec.selector': { 'x-kubernetes-patch-strategy': 'replace' },
};

function union(fields: JsonObject, discriminator?: string): Json {
  return [{ ...(discriminator !== undefined && { discriminator }), 'fields-to-discriminateBy': fields }];
}

/** Every version of every group that Kubernetes 1.36 knows, served or not: each has DeleteOptions and WatchEvent. */
export const OPTIONS_VERSIONS: readonly GroupVersion[] = (
  'v1 admission.k8s.io/v1 admission.k8s.io/v1beta1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1 ' +
  'admissionregistration.k8s.io/v1beta1 apiextensions.k8s.io/v1 apiextensions.k8s.io/v1beta1 apiregistration.k8s.io/v1 ' +
  'apiregistration.k8s.io/v1beta1 apps/v1 apps/v1beta1 apps/v1beta2 authentication.k8s.io/v1 authentication.k8s.io/v1alpha1 ' +
  'authentication.k8s.io/v1beta1 authorization.k8s.io/v1 authorization.k8s.io/v1beta1 autoscaling/v1 autoscaling/v2 batch/v1 ' +
  'batch/v1beta1 certificates.k8s.io/v1 certificates.k8s.io/v1alpha1 certificates.k8s.io/v1beta1 coordination.k8s.io/v1 ' +
  'coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1 ' +
  'events.k8s.io/v1beta1 extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1 ' +
  'flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1beta3 imagepolicy.k8s.io/v1alpha1 ' +
  'internal.apiserver.k8s.io/v1alpha1 networking.k8s.io/v1 networking.k8s.io/v1beta1 node.k8s.io/v1 node.k8s.io/v1alpha1 ' +
  'node.k8s.io/v1beta1 policy/v1 policy/v1beta1 rbac.authorization.k8s.io/v1 rbac.authorization.k8s.io/v1alpha1 ' +
  'rbac.authorization.k8s.io/v1beta1 resource.k8s.io/v1 resource.k8s.io/v1alpha3 resource.k8s.io/v1beta1 resource.k8s.io/v1beta2 ' +
  'scheduling.k8s.io/v1 scheduling.k8s.io/v1alpha2 scheduling.k8s.io/v1beta1 storage.k8s.io/v1 storage.k8s.io/v1alpha1 ' +
  'storage.k8s.io/v1beta1 storagemigration.k8s.io/v1beta1'
)
  .split(' ')
  .map((text) => parseApiVersion(text) ?? { group: '', version: text });
