/**
 * Beta and alpha versions of built-in kinds whose objects look as those of the version behind them: served where
 * --runtime-config asks for them, stored as that version. What is particular to a kind stands in its file; here are the
 * versions it had before, and when they go.
 *
 * After the API's own table of versions (k8s.io/api, prerelease lifecycle) as 1.36 has it.
 */

import { apiVersionOf, describeResource, type GroupVersion } from '../../api/meta.ts';
import type { DefaultRules } from '../../defaults/defaulter.ts';
import type { ResourceDefinition, VersionDefinition } from '../resource.ts';

/** The minor version of Kubernetes this server is. */
const MINOR = 36;

interface EarlierVersion {
  readonly version: string;
  /** Minor versions of Kubernetes 1. */
  readonly deprecated?: number;
  readonly removed?: number;
  /** Whom a warning names in its place. */
  readonly replacement?: GroupVersion;
}

const STORAGE: readonly EarlierVersion[] = [
  {
    version: 'v1beta1',
    deprecated: 34,
    removed: 37,
    replacement: { group: 'storage.k8s.io', version: 'v1' },
  },
];
const NETWORKING: readonly EarlierVersion[] = [{ version: 'v1beta1', deprecated: 34, removed: 37 }];
const RESOURCE: readonly EarlierVersion[] = [
  { version: 'v1beta2', deprecated: 36, removed: 39 },
  { version: 'v1beta1', deprecated: 35, removed: 38 },
];

const POLICIES: readonly EarlierVersion[] = [
  {
    version: 'v1beta1',
    deprecated: 37,
    removed: 40,
    replacement: { group: 'admissionregistration.k8s.io', version: 'v1' },
  },
  { version: 'v1alpha1', deprecated: 35, removed: 38 },
];

/** Kinds without a version 1: all of these are off. */
const YOUNG: readonly (readonly [string, readonly EarlierVersion[]])[] = [
  [
    'leasecandidates.coordination.k8s.io',
    [
      { version: 'v1beta1', deprecated: 36, removed: 39 },
      { version: 'v1alpha2', deprecated: 35, removed: 38 },
    ],
  ],
  [
    'clustertrustbundles.certificates.k8s.io',
    [
      { version: 'v1beta1', deprecated: 37, removed: 40 },
      { version: 'v1alpha1', deprecated: 34, removed: 37 },
    ],
  ],
  ['podcertificaterequests.certificates.k8s.io', [{ version: 'v1beta1', deprecated: 38, removed: 41 }]],
  [
    'devicetaintrules.resource.k8s.io',
    [
      { version: 'v1beta2', deprecated: 39, removed: 42 },
      { version: 'v1alpha3', deprecated: 36, removed: 39 },
    ],
  ],
  ['resourcepoolstatusrequests.resource.k8s.io', [{ version: 'v1alpha3', deprecated: 39, removed: 42 }]],
  ['storageversionmigrations.storagemigration.k8s.io', [{ version: 'v1beta1', deprecated: 38, removed: 41 }]],
  ['workloads.scheduling.k8s.io', [{ version: 'v1alpha2' }]],
  ['podgroups.scheduling.k8s.io', [{ version: 'v1alpha2' }]],
  ['storageversions.internal.apiserver.k8s.io', [{ version: 'v1alpha1' }]],
];

const EARLIER: ReadonlyMap<string, readonly EarlierVersion[]> = new Map([
  ['mutatingadmissionpolicies.admissionregistration.k8s.io', POLICIES],
  ['mutatingadmissionpolicybindings.admissionregistration.k8s.io', POLICIES],
  ['volumeattributesclasses.storage.k8s.io', STORAGE],
  ['ipaddresses.networking.k8s.io', NETWORKING],
  ['servicecidrs.networking.k8s.io', NETWORKING],
  ['deviceclasses.resource.k8s.io', RESOURCE],
  ['resourceclaims.resource.k8s.io', RESOURCE],
  ['resourceclaimtemplates.resource.k8s.io', RESOURCE],
  ['resourceslices.resource.k8s.io', RESOURCE],
  ...YOUNG,
]);
/** Types that mutating policies and their bindings are made of. */
const OF_POLICIES = /^(MatchResources|MutatingAdmissionPolicySpec|ParamRef)$/;
/** Packages of types whose defaults are those of version 1, and which of them; all where absent. */
const SAME_DEFAULTS: readonly (readonly [types: string, version: string, names?: RegExp])[] = [
  ['resource', 'v1beta2'],
  ['resource', 'v1beta1', /^DeviceSubRequest$/],
  ['admissionregistration', 'v1beta1', OF_POLICIES],
  ['admissionregistration', 'v1alpha1', OF_POLICIES],
];

/** The definition with the versions it had before; one that had none as it is. */
export function withEarlierVersions(definition: ResourceDefinition): ResourceDefinition {
  const earlier = EARLIER.get(describeResource(definition));
  if (earlier === undefined) return definition;
  const [newest] = definition.versions;
  const versions = earlier.map((each): VersionDefinition => {
    const warning = warningOf(definition, each);
    return {
      version: each.version,
      typeName: newest.typeName.replace(`.${newest.version}.`, `.${each.version}.`),
      servedByDefault: false,
      ...(warning === undefined ? {} : { deprecationWarning: warning }),
    };
  });
  const named = new Set(versions.map(({ version }) => version));
  const settled = definition.versions.filter(({ version }) => !named.has(version));
  return { ...definition, versions: [...settled, ...versions] };
}

function warningOf({ group, kind }: ResourceDefinition, earlier: EarlierVersion): string | undefined {
  const { version, deprecated, removed, replacement } = earlier;
  if (deprecated === undefined || deprecated > MINOR) return undefined;
  const instead = replacement === undefined ? '' : `; use ${apiVersionOf(replacement)} ${kind}`;
  return `${apiVersionOf({ group, version })} ${kind} is deprecated in v1.${deprecated}+, unavailable in v1.${removed}+${instead}`;
}

/** The rules, for the types of earlier versions too. */
export function withEarlierDefaults(rules: DefaultRules): DefaultRules {
  const more = SAME_DEFAULTS.flatMap(([types, version, names]) => {
    const head = `${types}.v1.`;
    return Object.entries(rules)
      .filter(([name]) => name.startsWith(head) && names?.test(name.slice(head.length)) !== false)
      .map(([name, rule]) => [`${types}.${version}.${name.slice(head.length)}`, rule] as const);
  });
  return { ...rules, ...Object.fromEntries(more) };
}
