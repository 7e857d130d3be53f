/**
 * What a pod's status is refused for: containers that come back from the dead, addresses that are none, claims and
 * resources the spec does not have. Only what nobody writes in normal operation; the rest is the kubelet's word.
 *
 * Modelled on ValidatePodStatusUpdate of kubernetes' pkg/apis/core/validation; paths and texts are its own, the
 * odd ones too.
 */

import type { JsonObject } from '../api/json.ts';
import { addressErrors, parseAddress } from './addresses.ts';
import type { FieldErrors } from './field-errors.ts';
import { FieldPath } from './field-path.ts';
import { dnsSubdomainErrors, rangeErrors } from './names.ts';
import { checkQualifiedName } from './scalars.ts';
import { count, countOf, has, items, part, partOf, parts, text, textOf, type Fields } from './value.ts';

const STATUS = FieldPath.of('status');
const SYSTEM_CONDITIONS: ReadonlySet<string> = new Set(['Initialized', 'PodScheduled', 'Ready']);
const HEALTH: readonly string[] = ['Healthy', 'Unhealthy', 'Unknown'];
const ID_MAX = 2 ** 31 - 1;
const AWAKE = 'may not be transitioned to non-terminated state';

/** @param pod with the spec it has */
export function checkPodStatusUpdate(errors: FieldErrors, pod: Fields, old: Fields): void {
  const spec = part(pod, 'spec');
  const status = part(pod, 'status');
  const before = part(old, 'status');
  for (const [index, condition] of parts(status, 'conditions').entries()) {
    const type = text(condition, 'type');
    if (SYSTEM_CONDITIONS.has(type)) continue;
    checkQualifiedName(errors, STATUS.child('conditions').index(index).child('Type'), type);
  }
  const nominated = text(status, 'nominatedNodeName');
  if (nominated !== '' && nominated !== text(before, 'nominatedNodeName')) {
    errors.invalids(STATUS.child('nominatedNodeName'), nominated, dnsSubdomainErrors(nominated));
  }
  if (text(status, 'qosClass') !== text(before, 'qosClass')) {
    errors.invalid(STATUS.child('qosClass'), text(status, 'qosClass'), 'field is immutable');
  }
  const policy = text(spec, 'restartPolicy');
  checkTransitions(errors, 'containerStatuses', status, before, policy, new Set());
  checkTransitions(errors, 'initContainerStatuses', status, before, policy, sidecarsOf(spec));
  // Nothing starts an ephemeral container again.
  checkTransitions(errors, 'ephemeralContainerStatuses', status, before, 'Never', new Set());
  checkClaimStatuses(errors, status, spec);
  checkPodIPs(errors, status);
  checkHostIPs(errors, status);
  for (const list of ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses']) {
    checkUsers(errors, list, status, text(part(spec, 'os'), 'name'));
  }
  checkResourceHealth(errors, 'containerStatuses', status, parts(spec, 'containers'));
  checkResourceHealth(errors, 'initContainerStatuses', status, parts(spec, 'initContainers'));
  for (const [index, container] of parts(status, 'ephemeralContainerStatuses').entries()) {
    if (items(container, 'allocatedResourcesStatus').length === 0) continue;
    const at = STATUS.child('ephemeralContainerStatuses').index(index).child('allocatedResourcesStatus');
    errors.forbidden(at, 'must not be specified in container status');
  }
}

/** Init containers that keep running. */
function sidecarsOf(spec: JsonObject): ReadonlySet<string> {
  const always = parts(spec, 'initContainers').filter((each) => text(each, 'restartPolicy') === 'Always');
  return new Set(always.map((each) => text(each, 'name')));
}

/** What has ended stays so, unless the pod's policy starts it again. */
function checkTransitions(
  errors: FieldErrors,
  list: string,
  status: JsonObject,
  before: JsonObject,
  policy: string,
  restarting: ReadonlySet<string>,
): void {
  if (policy === 'Always') return;
  for (const [index, old] of parts(before, list).entries()) {
    const ended = partOf(part(old, 'state'), 'terminated');
    if (ended === undefined || restarting.has(text(old, 'name'))) continue;
    if (count(ended, 'exitCode') !== 0 && policy === 'OnFailure') continue;
    for (const now of parts(status, list)) {
      const awake = partOf(part(now, 'state'), 'terminated') === undefined;
      if (text(now, 'name') !== text(old, 'name') || !awake) continue;
      errors.forbidden(STATUS.child(list).index(index).child('state'), AWAKE);
    }
  }
}

function checkClaimStatuses(errors: FieldErrors, status: JsonObject, spec: JsonObject): void {
  const claims = new Set(parts(spec, 'resourceClaims').map((each) => text(each, 'name')));
  const seen = new Set<string>();
  for (const [index, each] of parts(status, 'resourceClaimStatuses').entries()) {
    const place = STATUS.child('resourceClaimStatuses').index(index);
    const at = place.child('name');
    const name = text(each, 'name');
    if (!claims.has(name)) {
      errors.invalid(at, name, 'must match the name of an entry in `spec.resourceClaims`');
    }
    if (seen.has(name)) errors.duplicate(at, name);
    seen.add(name);
    const claim = textOf(each, 'resourceClaimName');
    if (claim !== undefined)
      errors.invalids(place.child('resourceClaimName'), claim, dnsSubdomainErrors(claim));
  }
}

/** podIP counts where it and the list differ, as the original reads them. */
function checkPodIPs(errors: FieldErrors, status: JsonObject): void {
  const one = text(status, 'podIP');
  const listed = parts(status, 'podIPs').map((each) => text(each, 'ip'));
  const all = one === '' || listed.at(0) === one ? listed : [one];
  checkIPs(errors, STATUS.child('podIPs'), all, false);
}

function checkHostIPs(errors: FieldErrors, status: JsonObject): void {
  const all = parts(status, 'hostIPs').map((each) => text(each, 'ip'));
  if (all.length === 0) return;
  const at = STATUS.child('hostIPs');
  if (all[0] !== text(status, 'hostIP')) {
    errors.invalid(at.index(0).child('ip'), all[0], 'must be equal to `hostIP`');
  }
  checkIPs(errors, at, all, true);
}

/** One address of each family at most. The objects in the texts have Go's names. */
function checkIPs(errors: FieldErrors, at: FieldPath, all: readonly string[], repeatedFirst: boolean): void {
  for (const [index, ip] of all.entries()) errors.invalids(at.index(index), ip, addressErrors(ip));
  if (all.length < 2) return;
  const repeated = (): void => {
    for (const [index, ip] of all.entries()) {
      if (all.indexOf(ip) < index) errors.duplicate(at.index(index), { IP: ip });
    }
  };
  if (repeatedFirst) repeated();
  const families = new Set(all.map((ip) => parseAddress(ip)?.family));
  if (families.size < 2 || all.length > 2) {
    const values = all.map((ip) => ({ IP: ip }));
    errors.invalid(at, values, 'may specify no more than one IP for each IP family');
  }
  if (!repeatedFirst) repeated();
}

function checkUsers(errors: FieldErrors, list: string, status: JsonObject, osName: string): void {
  for (const [index, container] of parts(status, list).entries()) {
    const linux = partOf(part(container, 'user'), 'linux');
    if (linux === undefined) continue;
    const at = STATUS.child(list).index(index).child('user', 'linux');
    if (osName === 'windows') {
      errors.forbidden(at, 'cannot be set for a windows pod');
      continue;
    }
    const checkId = (place: FieldPath, id: number): void => {
      errors.invalids(place, id, rangeErrors(id, 0, ID_MAX));
    };
    checkId(at.child('uid'), count(linux, 'uid'));
    checkId(at.child('gid'), count(linux, 'gid'));
    for (const [place, group] of items(linux, 'supplementalGroups').entries()) {
      checkId(at.child('supplementalGroups').index(place), countOf({ group }, 'group') ?? 0);
    }
  }
}

/** Resources a node reports on are those the container asks for. */
function checkResourceHealth(
  errors: FieldErrors,
  list: string,
  status: JsonObject,
  containers: readonly JsonObject[],
): void {
  for (const [index, reported] of parts(status, list).entries()) {
    const container = containers.find((each) => text(each, 'name') === text(reported, 'name'));
    for (const [place, resource] of parts(reported, 'allocatedResourcesStatus').entries()) {
      const at = STATUS.child(list).index(index).child('allocatedResourcesStatus').index(place);
      if (container !== undefined)
        checkResourceName(errors, at.child('name'), text(resource, 'name'), container);
      const seen = new Set<string>();
      for (const [k, unit] of parts(resource, 'resources').entries()) {
        const where = at.child('resources').index(k);
        const health = text(unit, 'health');
        if (!HEALTH.includes(health)) errors.notSupported(where.child('health'), health, HEALTH);
        const id = text(unit, 'resourceID');
        if (seen.has(id)) errors.duplicate(where.child('resourceID'), id);
        seen.add(id);
      }
    }
  }
}

function checkResourceName(errors: FieldErrors, at: FieldPath, name: string, container: JsonObject): void {
  const resources = part(container, 'resources');
  if (!name.startsWith('claim:')) {
    if (has(part(resources, 'requests'), name)) return;
    errors.invalid(at, name, "must match one of the container's resource requests");
    return;
  }
  const claims = parts(resources, 'claims').map((each) => {
    const request = text(each, 'request');
    return request === '' ? `claim:${text(each, 'name')}` : `claim:${text(each, 'name')}/${request}`;
  });
  if (claims.includes(name)) return;
  errors.invalid(
    at,
    name,
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
  );
}
