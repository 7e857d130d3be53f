/**
 * The controls that the restricted level of the Pod Security Standards adds to the baseline: what a pod has to give
 * up although most can do it. Pure.
 *
 * Modelled on Kubernetes' pod-security-admission/policy.
 */

import type { JsonObject } from '../../api/json.ts';
import { countOf, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { containersOf } from '../pod-parts.ts';
import { inUserNamespace, isSeccompType, procMount, seccompProfile } from './baseline.ts';
import {
  containersText,
  joined,
  plural,
  securityOf,
  sortedSet,
  type Check,
  type Control,
  type Finding,
  type PodView,
} from './finding.ts';

/** Windows has none of these. */
function unlessWindows(check: Check): Check {
  return (pod) => (text(part(pod.spec, 'os'), 'name') === 'windows' ? undefined : check(pod));
}

function unlessInUserNamespace(check: Check): Check {
  return (pod) => (inUserNamespace(pod) ? undefined : check(pod));
}

function allowPrivilegeEscalation({ spec }: PodView): Finding | undefined {
  const containers = containersOf(spec).filter(
    (container) => securityOf(container)['allowPrivilegeEscalation'] !== false,
  );
  if (containers.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containersText(containers)} must set securityContext.allowPrivilegeEscalation=false`,
  };
}

function capabilities({ spec }: PodView): Finding | undefined {
  const wrong: string[] = [];
  const keeping: JsonObject[] = [];
  const adding: JsonObject[] = [];
  for (const container of containersOf(spec)) {
    const own = part(securityOf(container), 'capabilities');
    if (!texts(own, 'drop').includes('ALL')) keeping.push(container);
    const added = texts(own, 'add').filter((name) => name !== 'NET_BIND_SERVICE');
    if (added.length > 0) adding.push(container);
    wrong.push(...added);
  }
  const details: string[] = [];
  if (keeping.length > 0) {
    details.push(`${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]`);
  }
  if (adding.length > 0) {
    details.push(
      `${containersText(adding)} must not include ${joined(sortedSet(wrong))} in securityContext.capabilities.add`,
    );
  }
  return details.length === 0
    ? undefined
    : { reason: 'unrestricted capabilities', detail: details.join('; ') };
}

const ALLOWED_VOLUMES = [
  'configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret',
].flatMap((names) => names.split(' '));
const OTHER_VOLUMES = [
  'hostPath gcePersistentDisk awsElasticBlockStore gitRepo nfs iscsi glusterfs rbd flexVolume cinder cephfs',
  'flocker fc azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO storageos',
].flatMap((names) => names.split(' '));

function restrictedVolumes({ spec }: PodView): Finding | undefined {
  const volumes = parts(spec, 'volumes').filter(
    (volume) => !ALLOWED_VOLUMES.some((source) => has(volume, source)),
  );
  if (volumes.length === 0) return undefined;
  const types = sortedSet(
    volumes.map((volume) => OTHER_VOLUMES.find((source) => has(volume, source)) ?? 'unknown'),
  );
  const names = volumes.map((volume) => text(volume, 'name'));
  return {
    reason: 'restricted volume types',
    detail: `${plural(names.length, 'volume')} ${joined(names)} ${names.length === 1 ? 'uses' : 'use'} ${plural(types.length, 'restricted volume type')} ${joined(types)}`,
  };
}

function runAsNonRoot({ spec }: PodView): Finding | undefined {
  const reason = 'runAsNonRoot != true';
  const said = securityOf(spec)['runAsNonRoot'];
  const setters = said === false ? ['pod'] : [];
  const containers = containersOf(spec);
  const wrong = containers.filter((container) => securityOf(container)['runAsNonRoot'] === false);
  if (wrong.length > 0) setters.push(containersText(wrong));
  if (setters.length > 0) {
    return { reason, detail: `${setters.join(' and ')} must not set securityContext.runAsNonRoot=false` };
  }
  const silent = containers.filter(
    (container) => said !== true && !has(securityOf(container), 'runAsNonRoot'),
  );
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true` };
}

function runAsUser({ spec }: PodView): Finding | undefined {
  const isRoot = (holder: JsonObject): boolean => countOf(securityOf(holder), 'runAsUser') === 0;
  const setters = isRoot(spec) ? ['pod'] : [];
  const containers = containersOf(spec).filter(isRoot);
  if (containers.length > 0) setters.push(containersText(containers));
  if (setters.length === 0) return undefined;
  return { reason: 'runAsUser=0', detail: `${setters.join(' and ')} must not set runAsUser=0` };
}

function seccompRequired(pod: PodView): Finding | undefined {
  const wrong = seccompProfile(pod);
  if (wrong !== undefined) return wrong;
  const profileOf = (holder: JsonObject): JsonObject | undefined =>
    partOf(securityOf(holder), 'seccompProfile');
  const whole = profileOf(pod.spec);
  if (whole !== undefined && isSeccompType(text(whole, 'type'))) return undefined;
  const silent = containersOf(pod.spec).filter((container) => profileOf(container) === undefined);
  if (silent.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `pod or ${containersText(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
}

/** In the order of their names. */
export const RESTRICTED_CONTROLS: readonly Control[] = [
  {
    name: 'allowPrivilegeEscalation',
    versions: [
      [8, allowPrivilegeEscalation],
      [25, unlessWindows(allowPrivilegeEscalation)],
    ],
  },
  {
    name: 'capabilities_restricted',
    versions: [
      [22, capabilities],
      [25, unlessWindows(capabilities)],
    ],
    overrides: 'capabilities_baseline',
  },
  { name: 'procMount_restricted', versions: [[35, procMount]], overrides: 'procMount' },
  { name: 'restrictedVolumes', versions: [[0, restrictedVolumes]], overrides: 'hostPathVolumes' },
  {
    name: 'runAsNonRoot',
    versions: [
      [0, runAsNonRoot],
      [35, unlessInUserNamespace(runAsNonRoot)],
    ],
  },
  {
    name: 'runAsUser',
    versions: [
      [23, runAsUser],
      [35, unlessInUserNamespace(runAsUser)],
    ],
  },
  {
    name: 'seccompProfile_restricted',
    versions: [
      [19, seccompRequired],
      [25, unlessWindows(seccompRequired)],
    ],
    overrides: 'seccompProfile_baseline',
  },
];
