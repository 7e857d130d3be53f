/**
 * A pod's spec, and the template of one: what must hold whichever workload it came from. Texts as upstream's core
 * validation. Updates of pods are pod-update.ts.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { shownPodClaim } from './go-shape.ts';
import { checkAnnotations, checkLabels } from './labels.ts';
import { searchDomainErrors } from './names.ts';
import { checkPodAnnotations, checkProfilesAgree } from './pod-annotations.ts';
import {
  checkContainers,
  checkEphemeralContainers,
  checkHostNetworkPorts,
  checkImageText,
  checkInitContainers,
  type PodSurroundings,
} from './pod-containers.ts';
import { checkActiveDeadline, checkAffinity, checkSpread, checkTolerations } from './pod-placement.ts';
import { checkPodResources, checkResourceRequirements } from './pod-resources.ts';
import { checkHostProcess, checkOperatingSystem, checkPodSecurity, containersOf } from './pod-security.ts';
import { checkVolumes, type VolumeOwner } from './pod-volumes.ts';
import { checkAddress, checkDnsLabel, checkDnsSubdomain, checkEnum, checkQualifiedName } from './scalars.ts';
import { countOf, flag, has, part, partOf, parts, text, textMap, textOf, texts } from './value.ts';

const RESTART_POLICIES: readonly string[] = ['Always', 'OnFailure', 'Never'];
const DNS_POLICIES: readonly string[] = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const PREEMPTION_POLICIES: readonly string[] = ['PreemptLowerPriority', 'Never'];
const NAME_SERVERS_MAX = 3;
const SEARCH_PATHS_MAX = 32;
const SEARCH_CHARACTERS_MAX = 2048;

/** Whose spec it is. */
export interface SpecOwner extends VolumeOwner {
  /** Volumes that come from elsewhere: the claims of a StatefulSet. */
  readonly moreVolumes?: readonly JsonObject[];
}

const TEMPLATE: SpecOwner = { podName: '', isPod: false };

/** A PodTemplateSpec: labels, annotations and the spec. */
export function checkPodTemplate(
  errors: FieldErrors,
  path: FieldPath,
  template: JsonObject,
  options: Pick<SpecOwner, 'moreVolumes'> = {},
): void {
  const annotations = textMap(part(template, 'metadata'), 'annotations');
  const spec = part(template, 'spec');
  checkTemplateLabels(errors, path, template);
  checkPodSpec(errors, path.child('spec'), spec, { ...TEMPLATE, ...options });
  checkProfilesAgree(errors, path.child('spec'), annotations, spec);
  if (parts(spec, 'ephemeralContainers').length > 0) {
    errors.forbidden(
      path.child('spec', 'ephemeralContainers'),
      'ephemeral containers not allowed in pod template',
    );
  }
}

/** The metadata of a template. */
export function checkTemplateLabels(errors: FieldErrors, path: FieldPath, template: JsonObject): void {
  const metadata = part(template, 'metadata');
  const annotations = textMap(metadata, 'annotations');
  checkLabels(errors, path.child('labels'), textMap(metadata, 'labels'));
  checkAnnotations(errors, path.child('annotations'), annotations);
  checkPodAnnotations(errors, path.child('annotations'), annotations, part(template, 'spec'));
}

/** What a pod's containers are checked against. */
function surroundingsOf(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  owner: SpecOwner,
): PodSurroundings {
  const declared = checkVolumes(errors, path.child('volumes'), parts(spec, 'volumes'), owner);
  const volumes = new Map(declared);
  for (const volume of owner.moreVolumes ?? []) volumes.set(text(volume, 'name'), volume);
  const claims = new Set(parts(spec, 'resourceClaims').map((claim) => text(claim, 'name')));
  claims.delete('');
  return {
    volumes,
    claims,
    graceSeconds: countOf(spec, 'terminationGracePeriodSeconds'),
    hostUsers: spec['hostUsers'] !== false,
    osName: text(part(spec, 'os'), 'name'),
    restartPolicy: text(spec, 'restartPolicy'),
  };
}

export function checkPodSpec(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  owner: SpecOwner = TEMPLATE,
): void {
  const surroundings = surroundingsOf(errors, path, spec, owner);
  checkResourceClaims(errors, path.child('resourceClaims'), parts(spec, 'resourceClaims'));
  const containers = parts(spec, 'containers');
  const first = parts(spec, 'initContainers');
  const later = parts(spec, 'ephemeralContainers');
  checkContainers(errors, path.child('containers'), containers, surroundings);
  checkInitContainers(errors, path.child('initContainers'), first, containers, surroundings);
  checkEphemeralContainers(errors, path.child('ephemeralContainers'), later, spec, surroundings);
  checkPodResources(errors, path.child('resources'), spec);
  if (flag(spec, 'hostNetwork')) {
    checkHostNetworkPorts(errors, path.child('containers'), containers, owner.isPod);
  }
  checkEnum(errors, path.child('restartPolicy'), text(spec, 'restartPolicy'), RESTART_POLICIES);
  checkEnum(errors, path.child('dnsPolicy'), text(spec, 'dnsPolicy'), DNS_POLICIES);
  checkLabels(errors, path.child('nodeSelector'), textMap(spec, 'nodeSelector'));
  checkPodSecurity(errors, path.child('securityContext'), part(spec, 'securityContext'), spec);
  const affinity = partOf(spec, 'affinity');
  if (affinity !== undefined) checkAffinity(errors, path.child('affinity'), affinity);
  checkDnsConfig(errors, path.child('dnsConfig'), spec);
  checkReadinessGates(errors, path.child('readinessGates'), parts(spec, 'readinessGates'));
  checkSchedulingGates(errors, path.child('schedulingGates'), parts(spec, 'schedulingGates'));
  checkSpread(errors, path.child('topologySpreadConstraints'), parts(spec, 'topologySpreadConstraints'));
  checkHostProcess(errors, path, spec);
  checkHostUsers(errors, path, spec);
  const account = text(spec, 'serviceAccountName');
  if (account !== '') checkDnsSubdomain(errors, path.child('serviceAccountName'), account);
  const node = text(spec, 'nodeName');
  if (node !== '') checkDnsSubdomain(errors, path.child('nodeName'), node);
  checkActiveDeadline(errors, path.child('activeDeadlineSeconds'), countOf(spec, 'activeDeadlineSeconds'));
  for (const name of ['hostname', 'subdomain']) {
    if (text(spec, name) !== '') checkDnsLabel(errors, path.child(name), text(spec, name));
  }
  checkTolerations(errors, path.child('tolerations'), parts(spec, 'tolerations'));
  checkHostAliases(errors, path.child('hostAliases'), parts(spec, 'hostAliases'));
  const priority = text(spec, 'priorityClassName');
  if (priority !== '') checkDnsSubdomain(errors, path.child('priorityClassName'), priority);
  const runtime = textOf(spec, 'runtimeClassName');
  if (runtime !== undefined) checkDnsSubdomain(errors, path.child('runtimeClassName'), runtime);
  const preemption = textOf(spec, 'preemptionPolicy');
  if (preemption !== undefined) {
    checkEnum(errors, path.child('preemptionPolicy'), preemption, PREEMPTION_POLICIES);
  }
  const overhead = partOf(spec, 'overhead');
  if (overhead !== undefined) {
    checkResourceRequirements(errors, path.child('overhead'), { limits: overhead });
  }
  checkOperatingSystem(errors, path, spec);
  checkHostnameOverride(errors, path, spec);
  checkFileVolumes(errors, path, spec);
}

/** Files that variables are read from lie in a volume of the pod's own. */
function checkFileVolumes(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const volumes = new Map(parts(spec, 'volumes').map((volume) => [text(volume, 'name'), volume]));
  for (const { at, container } of containersOf(path, spec)) {
    for (const [index, variable] of parts(container, 'env').entries()) {
      const file = partOf(part(variable, 'valueFrom'), 'fileKeyRef');
      if (file === undefined) continue;
      const name = text(file, 'volumeName');
      const place = at.child('env').index(index).child('valueFrom', 'fileKeyRef', 'volumeName');
      const volume = volumes.get(name);
      if (volume === undefined) errors.notFound(place, name);
      else if (!has(volume, 'emptyDir'))
        errors.invalid(place, name, 'referenced volume must be of type emptyDir');
    }
  }
}

const HOSTNAME_LENGTH_MAX = 64;

/** As the field's description has it; what the texts are there is not told. */
function checkHostnameOverride(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const name = textOf(spec, 'hostnameOverride') ?? '';
  if (name === '') return;
  const at = path.child('hostnameOverride');
  checkDnsSubdomain(errors, at, name);
  if (name.length > HOSTNAME_LENGTH_MAX) errors.tooLong(at, HOSTNAME_LENGTH_MAX);
  for (const other of ['setHostnameAsFQDN', 'hostNetwork']) {
    if (flag(spec, other)) errors.forbidden(at, `may not be specified when ${other} is true`);
  }
}

/** What must hold of a pod and need not of a template. */
export function checkPodAlone(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  if (text(spec, 'serviceAccountName') === '') {
    for (const [index, volume] of parts(spec, 'volumes').entries()) {
      for (const [number, source] of parts(part(volume, 'projected'), 'sources').entries()) {
        if (!has(source, 'serviceAccountToken')) continue;
        const at = path.child('volumes').index(index).child('projected', 'sources').index(number);
        const why = 'must not be specified when serviceAccountName is not set';
        errors.forbidden(at.child('serviceAccountToken'), why);
      }
    }
  }
  for (const list of ['containers', 'initContainers']) {
    for (const [index, container] of parts(spec, list).entries()) {
      checkImageText(errors, path.child(list).index(index), container);
    }
  }
}

function checkResourceClaims(errors: FieldErrors, path: FieldPath, list: readonly JsonObject[]): void {
  const names = new Set<string>();
  for (const [index, claim] of list.entries()) {
    const at = path.index(index);
    const name = text(claim, 'name');
    if (name === '') errors.required(at.child('name'));
    else if (names.has(name)) errors.duplicate(at.child('name'), name);
    else {
      checkDnsLabel(errors, at.child('name'), name);
      names.add(name);
    }
    const direct = textOf(claim, 'resourceClaimName');
    const template = textOf(claim, 'resourceClaimTemplateName');
    if (direct !== undefined && template !== undefined) {
      const why = 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
      errors.invalid(at, shownPodClaim(claim), why);
    } else if (direct === undefined && template === undefined) {
      const why = 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`';
      errors.invalid(at, shownPodClaim(claim), why);
    }
    if (direct !== undefined) checkDnsSubdomain(errors, at.child('resourceClaimName'), direct);
    if (template !== undefined) checkDnsSubdomain(errors, at.child('resourceClaimTemplateName'), template);
  }
}

function checkReadinessGates(errors: FieldErrors, path: FieldPath, gates: readonly JsonObject[]): void {
  for (const [index, gate] of gates.entries()) {
    checkQualifiedName(errors, path.index(index).child('conditionType'), text(gate, 'conditionType'));
  }
}

function checkSchedulingGates(errors: FieldErrors, path: FieldPath, gates: readonly JsonObject[]): void {
  const seen = new Set<string>();
  for (const [index, gate] of gates.entries()) {
    const name = text(gate, 'name');
    checkQualifiedName(errors, path.index(index), name);
    if (seen.has(name)) errors.duplicate(path.index(index), name);
    seen.add(name);
  }
}

function checkDnsConfig(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const config = partOf(spec, 'dnsConfig');
  const none = text(spec, 'dnsPolicy') === 'None';
  if (none && config === undefined) {
    errors.required(path, 'must provide `dnsConfig` when `dnsPolicy` is None');
    return;
  }
  if (config === undefined) return;
  const servers = texts(config, 'nameservers');
  if (none && servers.length === 0) {
    errors.required(
      path.child('nameservers'),
      'must provide at least one DNS nameserver when `dnsPolicy` is None',
    );
    return;
  }
  if (servers.length > NAME_SERVERS_MAX) {
    errors.invalid(
      path.child('nameservers'),
      servers,
      `must not have more than ${NAME_SERVERS_MAX} nameservers`,
    );
  }
  for (const [index, server] of servers.entries())
    checkAddress(errors, path.child('nameservers').index(index), server);
  const searches = texts(config, 'searches');
  if (searches.length > SEARCH_PATHS_MAX) {
    errors.invalid(
      path.child('searches'),
      searches,
      `must not have more than ${SEARCH_PATHS_MAX} search paths`,
    );
  }
  if (searches.join(' ').length > SEARCH_CHARACTERS_MAX) {
    errors.invalid(
      path.child('searches'),
      searches,
      `must not have more than ${SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list`,
    );
  }
  for (const [index, search] of searches.entries()) {
    if (search === '.') continue;
    const bare = search.endsWith('.') ? search.slice(0, -1) : search;
    errors.invalids(path.child('searches').index(index), bare, searchDomainErrors(bare));
  }
  for (const [index, option] of parts(config, 'options').entries()) {
    if (text(option, 'name') === '') errors.required(path.child('options').index(index), 'must not be empty');
  }
}

function checkHostAliases(errors: FieldErrors, path: FieldPath, aliases: readonly JsonObject[]): void {
  for (const [index, alias] of aliases.entries()) {
    const ip = text(alias, 'ip');
    checkAddress(errors, path.index(index).child('ip'), ip);
    for (const [number, name] of texts(alias, 'hostnames').entries()) {
      checkDnsSubdomain(errors, path.index(index).child('hostnames').index(number), name);
    }
  }
}

const HOST_NAMESPACES = [
  ['hostNetwork', 'hostNetwork'],
  ['hostPID', 'HostPID'],
  ['hostIPC', 'HostIPC'],
] as const;

function checkHostUsers(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  if (spec['hostUsers'] !== false) return;
  // Under the names of Go, save the first.
  for (const [name, shown] of HOST_NAMESPACES) {
    if (flag(spec, name)) errors.forbidden(path.child(shown), 'when `hostUsers` is false');
  }
  for (const [index, container] of parts(spec, 'containers').entries()) {
    if (parts(container, 'volumeDevices').length > 0) {
      errors.forbidden(
        path.child('containers').index(index).child('volumeDevices'),
        'when `hostUsers` is false',
      );
    }
  }
}
