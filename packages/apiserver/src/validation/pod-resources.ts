/**
 * Names of resources and the amounts asked for and allowed: of a container, of a pod as a whole, of a quota.
 * Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { qualifiedNameErrors } from './names.ts';
import { checkQuantityNotNegative, quantity } from './scalars.ts';
import { has, part, parts, text } from './value.ts';

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
  if (!name.includes('/') && !STANDARD.has(name) && !isHugePages(name) && !isQuotaName(name)) {
    errors.invalid(path, name, 'must be a standard resource type or fully qualified');
    return false;
  }
  return true;
}

function isQuotaName(name: string): boolean {
  return name.startsWith('requests.hugepages-') || name.startsWith('count/');
}

/** A name as a quota may count it. */
export function checkQuotaResourceName(errors: FieldErrors, path: FieldPath, name: string): void {
  const wrong = qualifiedNameErrors(name);
  errors.invalids(path, name, wrong);
  if (wrong.length > 0 || name.includes('/')) return;
  if (!isStandardQuotaResource(name)) errors.invalid(path, name, 'must be a standard resource for quota');
}

export function isStandardQuotaResource(name: string): boolean {
  const bare = name.startsWith('requests.') ? name.slice('requests.'.length) : name;
  return (STANDARD.has(name) && name !== 'storage') || isHugePages(bare);
}

/** A name as a container may ask for it. */
export function checkContainerResourceName(errors: FieldErrors, path: FieldPath, name: string): void {
  const wrong = qualifiedNameErrors(name);
  errors.invalids(path, name, wrong);
  if (wrong.length > 0) return;
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
  let standard = false;
  let huge = false;
  for (const [name, value] of Object.entries(limits)) {
    const at = path.child('limits').key(name);
    checkName(errors, at, name, options.podLevel === true);
    checkResourceAmount(errors, at, name, value);
    if (isHugePages(name)) {
      huge = true;
      if (quantity(value).nanos < 0n) continue;
    }
    if (name === 'cpu' || name === 'memory') standard = true;
  }
  for (const [name, value] of Object.entries(requests)) {
    const at = path.child('requests').key(name);
    checkName(errors, at, name, options.podLevel === true);
    checkResourceAmount(errors, at, name, value);
    const limit = limits[name];
    if (limit !== undefined) {
      const order = quantity(value).compare(quantity(limit));
      if (order > 0) {
        errors.invalid(
          path.child('requests'),
          value,
          `must be less than or equal to ${name} limit of ${quantity(limit).toString()}`,
        );
      } else if (order !== 0 && !isOvercommitted(name)) {
        errors.invalid(
          path.child('requests'),
          value,
          `must be equal to ${name} limit of ${quantity(limit).toString()}`,
        );
      }
    } else if (!isOvercommitted(name)) {
      errors.required(path.child('limits'), 'Limit must be set for non overcommitable resources');
    }
    if (isHugePages(name)) huge = true;
    if (name === 'cpu' || name === 'memory') standard = true;
  }
  if (huge && !standard) errors.forbidden(path, 'HugePages require cpu or memory');
  const names = new Set<string>();
  for (const [index, claim] of parts(requirements, 'claims').entries()) {
    const at = path.child('claims').index(index);
    const name = text(claim, 'name');
    if (options.podLevel === true) {
      errors.forbidden(path.child('claims'), 'claims may not be set for Resources at pod-level');
      break;
    }
    if (name === '') errors.required(at);
    else {
      const request = text(claim, 'request');
      const key = request === '' ? name : `${name}/${request}`;
      if (names.has(key)) errors.duplicate(at, key);
      names.add(key);
      if (options.claims?.has(name) === false) {
        errors.notFound(at, name);
      }
    }
  }
}

function checkName(errors: FieldErrors, path: FieldPath, name: string, podLevel: boolean): void {
  if (!podLevel) checkContainerResourceName(errors, path, name);
  else if (name !== 'cpu' && name !== 'memory' && !isHugePages(name)) {
    errors.notSupported(path, name, ['cpu', 'hugepages-', 'memory']);
  }
}

/** Whether requests or limits name anything. */
export function hasRequirements(requirements: JsonObject): boolean {
  return has(requirements, 'requests') || has(requirements, 'limits');
}
