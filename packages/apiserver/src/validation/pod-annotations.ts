/**
 * Annotations of pods that the server reads: those of static pods, tolerations of old, the price of a deletion,
 * profiles of seccomp and AppArmor from before there were fields. Texts as upstream's core validation.
 */

import { goQuote } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import { FieldErrors } from './field-errors.ts';
import { FieldPath } from './field-path.ts';
import { checkDescendingPath } from './local-paths.ts';
import { checkAppArmor, containersOf } from './pod-security.ts';
import { partOf, part, text, textOf } from './value.ts';

type Annotations = Readonly<Record<string, string>>;

/** The kubelet makes pods with this of files on its node. */
export const MIRROR = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
export const APP_ARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const LOCAL = 'localhost/';
const RUNTIME_DEFAULT = 'runtime/default';
const DOCKER_DEFAULT = 'docker/default';
const UNCONFINED = 'unconfined';
const INT32_MAX = 2 ** 31 - 1;

export function checkPodAnnotations(
  errors: FieldErrors,
  path: FieldPath,
  annotations: Annotations,
  spec: JsonObject,
): void {
  const mirror = annotations[MIRROR];
  if (mirror !== undefined && text(spec, 'nodeName') === '') {
    errors.invalid(path.key(MIRROR), mirror, 'must set spec.nodeName if mirror pod annotation is set');
  }
  const cost = annotations[DELETION_COST];
  if (cost !== undefined && !isDeletionCost(cost)) {
    errors.invalid(path.key(DELETION_COST), cost, 'must be a 32bit integer');
  }
  const whole = annotations[SECCOMP_POD];
  if (whole !== undefined) checkSeccompText(errors, path.child(SECCOMP_POD), whole);
  for (const [key, value] of Object.entries(annotations)) {
    if (key.startsWith(SECCOMP_CONTAINER)) checkSeccompText(errors, path.child(key), value);
  }
  const names = new Set(containersOf(path, spec).map(({ container }) => text(container, 'name')));
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(APP_ARMOR)) continue;
    const name = key.slice(APP_ARMOR.length);
    if (!names.has(name)) errors.invalid(path.key(key), name, 'container not found');
    if (value !== '' && value !== RUNTIME_DEFAULT && value !== UNCONFINED && !value.startsWith(LOCAL)) {
      errors.invalid(path.key(key), value, `invalid AppArmor profile name: ${goQuote(value)}`);
    }
  }
}

/** A whole number of 32 bits without a plus or zeros before it. */
function isDeletionCost(cost: string): boolean {
  if (!/^(0|-?[1-9][0-9]{0,9})$/.test(cost)) return false;
  return Number(cost) >= -INT32_MAX - 1 && Number(cost) <= INT32_MAX;
}

function checkSeccompText(errors: FieldErrors, path: FieldPath, profile: string): void {
  if (profile === RUNTIME_DEFAULT || profile === DOCKER_DEFAULT || profile === UNCONFINED) return;
  if (profile.startsWith(LOCAL)) checkDescendingPath(errors, path, profile.slice(LOCAL.length));
  else errors.invalid(path, profile, 'must be a valid seccomp profile');
}

/** Where a profile is said twice, by an annotation of old and by a field, both say the same. */
export function checkProfilesAgree(
  errors: FieldErrors,
  path: FieldPath,
  annotations: Annotations,
  spec: JsonObject,
): void {
  const context = partOf(spec, 'securityContext');
  const whole = context === undefined ? undefined : partOf(context, 'seccompProfile');
  const at = path.child('securityContext', 'seccompProfile');
  compareProfile(errors, at, annotations[SECCOMP_POD], whole, 'seccomp');
  for (const { at: place, container } of containersOf(path, spec)) {
    const profile = partOf(part(container, 'securityContext'), 'seccompProfile');
    const said = annotations[SECCOMP_CONTAINER + text(container, 'name')];
    compareProfile(errors, place.child('securityContext', 'seccompProfile'), said, profile, 'seccomp');
  }
  if (text(part(spec, 'os'), 'name') === 'windows') return;
  const ofPod = context === undefined ? undefined : partOf(context, 'appArmorProfile');
  for (const { at: place, container } of containersOf(path, spec)) {
    const profile = partOf(part(container, 'securityContext'), 'appArmorProfile') ?? ofPod;
    const said = annotations[APP_ARMOR + text(container, 'name')];
    compareProfile(errors, place.child('securityContext', 'appArmorProfile'), said, profile, 'apparmor');
  }
}

function compareProfile(
  errors: FieldErrors,
  path: FieldPath,
  annotation: string | undefined,
  profile: JsonObject | undefined,
  what: 'seccomp' | 'apparmor',
): void {
  if (annotation === undefined || profile === undefined) return;
  const type = text(profile, 'type');
  const agrees =
    type === 'Unconfined'
      ? annotation === UNCONFINED
      : type === 'RuntimeDefault'
        ? annotation === RUNTIME_DEFAULT || (what === 'seccomp' && annotation === DOCKER_DEFAULT)
        : type !== 'Localhost' || annotation.startsWith(LOCAL);
  if (!agrees) errors.forbidden(path.child('type'), `${what} type in annotation and field must match`);
  else if (type === 'Localhost' && annotation.slice(LOCAL.length) !== textOf(profile, 'localhostProfile')) {
    const why = `${what} profile in annotation and field must match`;
    errors.forbidden(path.child('localhostProfile'), why);
  }
}

/** Annotations that stay as they were made. */
export function checkPodAnnotationsUpdate(
  errors: FieldErrors,
  path: FieldPath,
  annotations: Annotations,
  old: Annotations,
): void {
  for (const [key, value] of Object.entries(old)) {
    if (annotations[key] === value) continue;
    if (key.startsWith(APP_ARMOR)) {
      errors.forbidden(path.key(key), 'may not remove or update AppArmor annotations');
    }
    if (key === MIRROR) errors.forbidden(path.key(key), 'may not remove or update mirror pod annotation');
  }
  for (const key of Object.keys(annotations)) {
    if (Object.hasOwn(old, key)) continue;
    if (key.startsWith(APP_ARMOR)) errors.forbidden(path.key(key), 'may not add AppArmor annotations');
    if (key === MIRROR) errors.forbidden(path.key(key), 'may not add mirror pod annotation');
  }
}

/** The profile an annotation names; undefined where it names none. */
export function appArmorProfileOf(said: string): JsonObject | undefined {
  if (said === 'unconfined') return { type: 'Unconfined' };
  if (said === 'runtime/default') return { type: 'RuntimeDefault' };
  if (!said.startsWith('localhost/')) return undefined;
  const profile = { type: 'Localhost', localhostProfile: said.slice('localhost/'.length) };
  const errors = new FieldErrors();
  checkAppArmor(errors, FieldPath.of('appArmorProfile'), profile);
  return errors.size === 0 ? profile : undefined;
}
