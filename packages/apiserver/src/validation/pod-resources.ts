/**
 * Names of resources and the amounts asked for and allowed: of a container, of a pod as a whole, of a quota.
 * Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { qualifiedNameErrors } from './names.ts';
import type { Quantity } from '../api/quantity.ts';
import { checkDnsLabel, checkQuantityNotNegative, quantity } from './scalars.ts';
import { has, part, partOf, parts, text } from './value.ts';

const STANDARD_CONTAINER: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);
const STANDARD: ReadonlySet<string> = new Set(
  [
    'cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu',
    'limits.memory limits.ephemeral-storage pods resourcequotas services replicationcontrollers secrets configmaps',
    'persistentvolumeclaims storage requests.storage services.loadbalancers services.nodeports',
  ].flatMap((names) => names.split(' ')),
);
const WHOLE: ReadonlySet<string> = new Set(
  [
    'pods resourcequotas services replicationcontrollers secrets configmaps persistentvolumeclaims',
    'services.nodeports services.loadbalancers',
  ].flatMap((names) => names.split(' ')),
);

const HUGE_PAGES = 'hugepages-';
const KUBERNETES = 'kubernetes.io/';
const NOT_WHOLE = 'must be an integer';

export function isHugePages(name: string): boolean {
  return name.startsWith(HUGE_PAGES);
}

function isExtended(name: string): boolean {
  if (!name.includes('/') || isNative(name) || name.startsWith('requests.')) return false;
  return qualifiedNameErrors(`requests.${name}`).length === 0;
}

function isNative(name: string): boolean {
  return !name.includes('/') || name.includes(KUBERNETES);
}

/** Whether more may be allowed than is asked for. */
export function isOvercommitted(name: string): boolean {
  return isNative(name) && !isHugePages(name);
}

/** A name as it may stand anywhere. */
export function checkResourceName(errors: FieldErrors, path: FieldPath, name: string): boolean {
  const wrong = qualifiedNameErrors(name);
  errors.invalids(path, name, wrong);
  if (wrong.length > 0) return false;
  const quota = name.startsWith(`requests.${HUGE_PAGES}`);
  if (name.includes('/') || STANDARD.has(name) || isHugePages(name) || quota) return true;
  errors.invalid(path, name, 'must be a standard resource type or fully qualified');
  return false;
}

/** A name as a quota may count it. */
export function checkQuotaResourceName(errors: FieldErrors, path: FieldPath, name: string): void {
  checkResourceName(errors, path, name);
  if (name.includes('/') || isStandardQuotaResource(name)) return;
  errors.invalid(path, name, 'must be a standard resource for quota');
}

export function isStandardQuotaResource(name: string): boolean {
  const bare = name.startsWith('requests.') ? name.slice('requests.'.length) : name;
  return (STANDARD.has(name) && name !== 'storage') || isHugePages(bare);
}

/** A name as a container may ask for it. */
export function checkContainerResourceName(errors: FieldErrors, path: FieldPath, name: string): void {
  checkResourceName(errors, path, name);
  if (!name.includes('/')) {
    if (!STANDARD_CONTAINER.has(name) && !isHugePages(name)) {
      errors.invalid(path, name, 'must be a standard resource for containers');
    }
  } else if (!isNative(name) && !isExtended(name)) {
    errors.invalid(path, name, "doesn't follow extended resource name standard");
  }
}

/** An amount: not negative, whole where parts make no sense. */
export function checkResourceAmount(
  errors: FieldErrors,
  path: FieldPath,
  name: string,
  value: unknown,
): void {
  checkQuantityNotNegative(errors, path, value);
  if ((WHOLE.has(name) || isExtended(name)) && quantity(value).millis() % 1000n !== 0n) {
    errors.invalid(path, value, NOT_WHOLE);
  }
}

/** Requests and limits of a container. */
export function checkResourceRequirements(
  errors: FieldErrors,
  path: FieldPath,
  requirements: JsonObject,
  options: { readonly claims?: ReadonlySet<string>; readonly podLevel?: boolean } = {},
): void {
  const limits = part(requirements, 'limits');
  const requests = part(requirements, 'requests');
  const checkName = options.podLevel === true ? checkPodResourceName : checkContainerResourceName;
  for (const [name, value] of Object.entries(limits)) {
    const at = path.child('limits').key(name);
    checkName(errors, at, name);
    checkResourceAmount(errors, at, name, value);
    checkHugePages(errors, at, name, value);
  }
  for (const [name, value] of Object.entries(requests)) {
    const at = path.child('requests').key(name);
    checkName(errors, at, name);
    checkResourceAmount(errors, at, name, value);
    checkLimit(errors, path, name, value, limits[name]);
    checkHugePages(errors, at, name, value);
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) {
    errors.forbidden(path, 'HugePages require cpu or memory');
  }
  checkClaimNames(errors, path.child('claims'), parts(requirements, 'claims'), options.claims ?? new Set());
}

/** A name as a pod may ask for it as a whole. */
function checkPodResourceName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (!checkResourceName(errors, path, name)) return;
  if (!ofPod(name)) errors.notSupported(path, name, ['cpu', 'hugepages-', 'memory']);
}

/** Whether a pod as a whole may ask for it. */
export function ofPod(name: string): boolean {
  return name === 'cpu' || name === 'memory' || isHugePages(name);
}

/** What is asked for against what is allowed. */
function checkLimit(
  errors: FieldErrors,
  path: FieldPath,
  name: string,
  value: unknown,
  limit: unknown,
): void {
  const at = path.child('requests');
  if (limit === undefined) {
    if (isOvercommitted(name)) return;
    errors.required(path.child('limits'), 'Limit must be set for non overcommitable resources');
    return;
  }
  const order = quantity(value).compare(quantity(limit));
  const shown = quantity(limit).toString();
  if (order !== 0 && !isOvercommitted(name)) {
    errors.invalid(at, value, `must be equal to ${name} limit of ${shown}`);
  } else if (order > 0) {
    errors.invalid(at, value, `must be less than or equal to ${name} limit of ${shown}`);
  }
}

/** Huge pages come whole. */
function checkHugePages(errors: FieldErrors, path: FieldPath, name: string, value: unknown): void {
  if (!isHugePages(name)) return;
  const page = quantity(name.slice(HUGE_PAGES.length)).nanos;
  const { nanos } = quantity(value);
  if (page > 0n && nanos % page === 0n) return;
  const shown = quantity(value).toString();
  errors.invalid(path, shown, `${shown} is not positive integer multiple of ${name}`);
}

/** Names of the pod's claims, as containers refer to them; a request of a claim counts by itself. */
function checkClaimNames(
  errors: FieldErrors,
  path: FieldPath,
  claims: readonly JsonObject[],
  known: ReadonlySet<string>,
): void {
  const names = new Set<string>();
  for (const [index, claim] of claims.entries()) {
    const at = path.index(index);
    const name = text(claim, 'name');
    if (name === '') {
      errors.required(at);
      continue;
    }
    const request = text(claim, 'request');
    const key = request === '' ? name : `${name}/${request}`;
    if (names.has(name)) errors.duplicate(at, name);
    else {
      if (request !== '') checkDnsLabel(errors, at.child('request'), request);
      if (names.has(key)) errors.duplicate(at, key);
      else if (request === '') {
        for (const other of names) if (other.startsWith(`${name}/`)) errors.duplicate(at, name);
      }
      names.add(key);
    }
    if (known.has(name)) continue;
    const which = known.size === 0 ? ' which is empty' : `: ${[...known].toSorted().join(', ')}`;
    errors.notFound(at, name, `must be one of the names in pod.spec.resourceClaims${which}`);
  }
}

/** Resources of a pod as a whole: at least what its containers ask for, no less than each may have. */
export function checkPodResources(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const resources = partOf(spec, 'resources');
  if (resources === undefined) return;
  if (text(part(spec, 'os'), 'name') === 'windows') {
    errors.forbidden(path, 'may not be set for a windows pod');
    return;
  }
  if (has(resources, 'claims')) {
    errors.forbidden(path.child('claims'), 'claims may not be set for Resources at pod-level');
  }
  const claims = new Set(parts(spec, 'resourceClaims').map((each) => text(each, 'name')));
  claims.delete('');
  checkResourceRequirements(errors, path, resources, { claims, podLevel: true });
  const asked = part(resources, 'requests');
  for (const [name, together] of aggregateOf(spec, 'requests')) {
    if (!has(asked, name)) continue;
    const whole = quantity(asked[name]);
    if (together.compare(whole) <= 0) continue;
    const why = `must be greater than or equal to aggregate container requests of ${together.toString()}`;
    errors.invalid(path.child('requests').key(name), whole.toString(), why);
  }
  const limits = part(resources, 'limits');
  // Huge pages are given as they are asked for.
  for (const [name, together] of aggregateOf(spec, 'limits')) {
    if (!isHugePages(name) || !has(limits, name)) continue;
    const whole = quantity(limits[name]);
    if (together.compare(whole) <= 0) continue;
    const why = `must be greater than or equal to aggregate container limits of ${together.toString()}`;
    errors.invalid(path.child('limits').key(name), whole.toString(), why);
  }
  for (const [index, container] of parts(spec, 'containers').entries()) {
    for (const [name, limit] of Object.entries(part(part(container, 'resources'), 'limits'))) {
      if (!has(limits, name) || quantity(limit).compare(quantity(limits[name])) <= 0) continue;
      const at = path.child('containers').index(index).key(name).child('limits');
      const why = `must be less than or equal to pod limits of ${quantity(limits[name]).toString()}`;
      errors.invalid(at, quantity(limit).toString(), why);
    }
  }
}

/**
 * What the containers ask for, or may have, together: those that stay, or the most that one before them needs beside
 * sidecars.
 */
export function aggregateOf(spec: JsonObject, of: 'requests' | 'limits'): ReadonlyMap<string, Quantity> {
  const sums = new Map<string, Quantity>();
  const add = (to: Map<string, Quantity>, name: string, value: Quantity): void => {
    to.set(name, to.get(name)?.add(value) ?? value);
  };
  const amountsOf = (container: JsonObject): [string, Quantity][] =>
    Object.entries(part(part(container, 'resources'), of)).map(([name, value]) => [name, quantity(value)]);
  for (const container of parts(spec, 'containers')) {
    for (const [name, value] of amountsOf(container)) add(sums, name, value);
  }
  const sidecars = new Map<string, Quantity>();
  const peaks = new Map<string, Quantity>();
  for (const container of parts(spec, 'initContainers')) {
    const stays = text(container, 'restartPolicy') === 'Always';
    for (const [name, value] of amountsOf(container)) {
      if (stays) {
        add(sums, name, value);
        add(sidecars, name, value);
      }
      const beside = sidecars.get(name);
      const now = stays || beside === undefined ? (beside ?? value) : value.add(beside);
      const peak = peaks.get(name);
      if (peak === undefined || now.compare(peak) > 0) peaks.set(name, now);
    }
  }
  for (const [name, peak] of peaks) {
    const sum = sums.get(name);
    if (sum === undefined || peak.compare(sum) > 0) sums.set(name, peak);
  }
  return sums;
}
