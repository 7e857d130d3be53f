/**
 * A pod's spec, and the template of one: what must hold whichever workload it came from. Texts as upstream's core
 * validation. Updates of pods are pod-update.ts.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkAnnotations, checkLabels } from './labels.ts';
import {
  checkContainers,
  checkEphemeralContainers,
  checkInitContainers,
  type PodSurroundings,
} from './pod-containers.ts';
import {
  checkActiveDeadline,
  checkAffinity,
  checkGrace,
  checkSpread,
  checkTolerations,
} from './pod-placement.ts';
import { checkOperatingSystem, checkPodSecurity } from './pod-security.ts';
import { checkResourceRequirements } from './pod-resources.ts';
import { checkVolumes } from './pod-volumes.ts';
import { checkAddress, checkDnsLabel, checkDnsSubdomain, checkEnum, checkQualifiedName } from './scalars.ts';
import { countOf, flag, has, part, partOf, parts, text, textMap, texts } from './value.ts';

const RESTART_POLICIES: readonly string[] = ['Always', 'Never', 'OnFailure'];
const DNS_POLICIES: readonly string[] = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const NAME_SERVERS_MAX = 3;
const SEARCH_PATHS_MAX = 32;
const SEARCH_CHARACTERS_MAX = 2048;

/** A PodTemplateSpec: labels, annotations and the spec. */
export function checkPodTemplate(
  errors: FieldErrors,
  path: FieldPath,
  template: JsonObject,
  options: { readonly moreVolumes?: readonly JsonObject[] } = {},
): void {
  const metadata = part(template, 'metadata');
  const spec = part(template, 'spec');
  checkLabels(errors, path.child('labels'), textMap(metadata, 'labels'));
  checkAnnotations(errors, path.child('annotations'), textMap(metadata, 'annotations'));
  checkPodSpec(errors, path.child('spec'), spec, options);
  if (parts(spec, 'ephemeralContainers').length > 0) {
    errors.forbidden(
      path.child('spec', 'ephemeralContainers'),
      'ephemeral containers not allowed in pod template',
    );
  }
}

export function checkPodSpec(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  options: { readonly moreVolumes?: readonly JsonObject[] } = {},
): void {
  checkGrace(
    errors,
    path.child('terminationGracePeriodSeconds'),
    countOf(spec, 'terminationGracePeriodSeconds'),
  );
  const declared = checkVolumes(errors, path.child('volumes'), parts(spec, 'volumes'));
  const volumes = new Map(declared);
  for (const volume of options.moreVolumes ?? []) volumes.set(text(volume, 'name'), volume);
  const claims = checkResourceClaims(errors, path.child('resourceClaims'), parts(spec, 'resourceClaims'));
  const surroundings: PodSurroundings = {
    volumes,
    claims,
    graceSeconds: countOf(spec, 'terminationGracePeriodSeconds'),
    hostNetwork: flag(spec, 'hostNetwork'),
    hostUsers: spec['hostUsers'] !== false,
    osName: text(part(spec, 'os'), 'name'),
    restartPolicy: text(spec, 'restartPolicy'),
  };
  const containers = parts(spec, 'containers');
  checkContainers(errors, path.child('containers'), containers, surroundings);
  checkInitContainers(
    errors,
    path.child('initContainers'),
    parts(spec, 'initContainers'),
    containers,
    surroundings,
  );
  checkEphemeralContainers(
    errors,
    path.child('ephemeralContainers'),
    parts(spec, 'ephemeralContainers'),
    spec,
    surroundings,
  );
  const resources = partOf(spec, 'resources');
  if (resources !== undefined) {
    checkResourceRequirements(errors, path.child('resources'), resources, { podLevel: true });
  }
  checkEnum(errors, path.child('restartPolicy'), text(spec, 'restartPolicy'), RESTART_POLICIES);
  checkEnum(errors, path.child('dnsPolicy'), text(spec, 'dnsPolicy'), DNS_POLICIES);
  checkLabels(errors, path.child('nodeSelector'), textMap(spec, 'nodeSelector'));
  const security = partOf(spec, 'securityContext');
  if (security !== undefined) checkPodSecurity(errors, path.child('securityContext'), security, spec);
  checkPullSecrets(errors, path.child('imagePullSecrets'), parts(spec, 'imagePullSecrets'));
  const affinity = partOf(spec, 'affinity');
  if (affinity !== undefined) checkAffinity(errors, path.child('affinity'), affinity);
  checkDnsConfig(errors, path.child('dnsConfig'), spec);
  checkGates(errors, path.child('readinessGates'), parts(spec, 'readinessGates'), 'conditionType');
  checkSchedulingGates(errors, path.child('schedulingGates'), parts(spec, 'schedulingGates'));
  checkSpread(errors, path.child('topologySpreadConstraints'), parts(spec, 'topologySpreadConstraints'));
  checkHostUsers(errors, path, spec);
  for (const [name, check] of [
    ['serviceAccountName', checkDnsSubdomain],
    ['nodeName', checkDnsSubdomain],
    ['hostname', checkDnsLabel],
    ['subdomain', checkDnsLabel],
    ['priorityClassName', checkDnsSubdomain],
    ['runtimeClassName', checkDnsSubdomain],
  ] as const) {
    const value = text(spec, name);
    if (value !== '') check(errors, path.child(name), value);
  }
  const scheduler = text(spec, 'schedulerName');
  if (scheduler !== '') checkDnsSubdomain(errors, path.child('schedulerName'), scheduler);
  checkActiveDeadline(errors, path.child('activeDeadlineSeconds'), countOf(spec, 'activeDeadlineSeconds'));
  checkTolerations(errors, path.child('tolerations'), parts(spec, 'tolerations'));
  checkHostAliases(errors, path.child('hostAliases'), parts(spec, 'hostAliases'));
  const preemption = spec['preemptionPolicy'];
  if (typeof preemption === 'string' && preemption !== '') {
    const policies = ['Never', 'PreemptLowerPriority'];
    if (!policies.includes(preemption))
      errors.notSupported(path.child('preemptionPolicy'), preemption, policies);
  }
  const overhead = partOf(spec, 'overhead');
  if (overhead !== undefined) {
    checkResourceRequirements(errors, path.child('overhead'), { limits: overhead });
  }
  checkOperatingSystem(errors, path, spec);
  if (flag(spec, 'setHostnameAsFQDN') && has(spec, 'hostnameOverride')) {
    errors.forbidden(path.child('hostnameOverride'), 'may not be set when setHostnameAsFQDN is true');
  }
}

function checkPullSecrets(errors: FieldErrors, path: FieldPath, secrets: readonly JsonObject[]): void {
  for (const [index, secret] of secrets.entries()) {
    if (text(secret, 'name') === '') errors.required(path.index(index).child('name'));
  }
}

function checkResourceClaims(
  errors: FieldErrors,
  path: FieldPath,
  list: readonly JsonObject[],
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, claim] of list.entries()) {
    const at = path.index(index);
    const name = text(claim, 'name');
    if (name === '') errors.required(at.child('name'));
    else if (names.has(name)) errors.duplicate(at.child('name'), name);
    else checkDnsLabel(errors, at.child('name'), name);
    names.add(name);
    const direct = text(claim, 'resourceClaimName');
    const template = text(claim, 'resourceClaimTemplateName');
    if (direct !== '' && template !== '') {
      errors.invalid(
        at,
        claim,
        'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified',
      );
    } else if (direct === '' && template === '') {
      errors.invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`');
    }
    if (direct !== '') checkDnsSubdomain(errors, at.child('resourceClaimName'), direct);
    if (template !== '') checkDnsSubdomain(errors, at.child('resourceClaimTemplateName'), template);
  }
  return names;
}

function checkGates(errors: FieldErrors, path: FieldPath, gates: readonly JsonObject[], name: string): void {
  for (const [index, gate] of gates.entries()) {
    checkQualifiedName(errors, path.index(index).child(name), text(gate, name));
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
    // A lone dot and underscores are right in a resolver's list.
    if (search === '.') continue;
    const bare = (search.endsWith('.') ? search.slice(0, -1) : search)
      .replaceAll('_', '-')
      .replace(/^-/, 'a');
    checkDnsSubdomain(errors, path.child('searches').index(index), bare);
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

function checkHostUsers(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  if (spec['hostUsers'] !== false) return;
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) {
    if (flag(spec, name)) errors.forbidden(path.child(name), 'when `hostUsers` is false');
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
