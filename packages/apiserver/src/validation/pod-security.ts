/** Security contexts of a pod and of its containers. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { dnsSubdomainErrors } from './names.ts';
import { asNumber, countOf, flag, has, items, part, partOf, parts, text } from './value.ts';

const ID = 'must be between 0 and 2147483647, inclusive';
const ID_MAX = 2 ** 31 - 1;
const SECCOMP: readonly string[] = ['Localhost', 'RuntimeDefault', 'Unconfined'];

function checkId(errors: FieldErrors, path: FieldPath, id: number | undefined): void {
  if (id !== undefined && (id < 0 || id > ID_MAX)) errors.invalid(path, id, ID);
}

export function checkPodSecurity(
  errors: FieldErrors,
  path: FieldPath,
  context: JsonObject,
  spec: JsonObject,
): void {
  checkId(errors, path.child('fsGroup'), countOf(context, 'fsGroup'));
  checkId(errors, path.child('runAsUser'), countOf(context, 'runAsUser'));
  checkId(errors, path.child('runAsGroup'), countOf(context, 'runAsGroup'));
  for (const [index, group] of items(context, 'supplementalGroups').entries()) {
    checkId(errors, path.child('supplementalGroups').index(index), asNumber(group));
  }
  if (flag(spec, 'shareProcessNamespace') && flag(spec, 'hostPID')) {
    errors.invalid(
      path.child('shareProcessNamespace'),
      true,
      'ShareProcessNamespace and HostPID cannot both be enabled',
    );
  }
  const sysctls = new Set<string>();
  for (const [index, sysctl] of parts(context, 'sysctls').entries()) {
    const at = path.child('sysctls').index(index).child('name');
    const name = text(sysctl, 'name');
    if (name === '') errors.required(at);
    else if (
      name.length > 253 ||
      !/^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/.test(name)
    ) {
      errors.invalid(
        at,
        name,
        'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      );
    } else if (sysctls.has(name)) errors.duplicate(at, name);
    sysctls.add(name);
    const dotted = name.replaceAll('/', '.');
    if (flag(spec, 'hostNetwork') && dotted.startsWith('net.')) {
      errors.invalid(at, name, "may not be specified when 'hostNetwork' is true");
    }
    if (
      flag(spec, 'hostIPC') &&
      (dotted.startsWith('kernel.shm') ||
        dotted.startsWith('kernel.msg') ||
        dotted === 'kernel.sem' ||
        dotted.startsWith('fs.mqueue.'))
    ) {
      errors.invalid(at, name, "may not be specified when 'hostIPC' is true");
    }
  }
  const policy = text(context, 'fsGroupChangePolicy');
  if (policy !== '' && policy !== 'Always' && policy !== 'OnRootMismatch') {
    errors.notSupported(path.child('fsGroupChangePolicy'), policy, ['Always', 'OnRootMismatch']);
  }
  const supplemental = text(context, 'supplementalGroupsPolicy');
  if (supplemental !== '' && supplemental !== 'Merge' && supplemental !== 'Strict') {
    errors.notSupported(path.child('supplementalGroupsPolicy'), supplemental, ['Merge', 'Strict']);
  }
  checkProfiles(errors, path, context);
  checkWindows(errors, path.child('windowsOptions'), partOf(context, 'windowsOptions'));
}

export function checkContainerSecurity(
  errors: FieldErrors,
  path: FieldPath,
  context: JsonObject,
  hostUsers: boolean,
): void {
  for (const name of ['runAsUser', 'runAsGroup']) checkId(errors, path.child(name), countOf(context, name));
  const mount = text(context, 'procMount');
  if (mount !== '' && mount !== 'Default' && mount !== 'Unmasked') {
    errors.notSupported(path.child('procMount'), mount, ['Default', 'Unmasked']);
  }
  if (hostUsers && mount === 'Unmasked') {
    errors.invalid(path.child('procMount'), mount, '`hostUsers` must be false to use `Unmasked`');
  }
  checkProfiles(errors, path, context);
  if (context['allowPrivilegeEscalation'] === false) {
    if (flag(context, 'privileged')) {
      errors.invalid(
        path,
        context,
        'cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      );
    }
    if (items(part(context, 'capabilities'), 'add').includes('CAP_SYS_ADMIN')) {
      errors.invalid(
        path,
        context,
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      );
    }
  }
  checkWindows(errors, path.child('windowsOptions'), partOf(context, 'windowsOptions'));
}

function checkProfiles(errors: FieldErrors, path: FieldPath, context: JsonObject): void {
  for (const name of ['seccompProfile', 'appArmorProfile']) {
    const profile = partOf(context, name);
    if (profile === undefined) continue;
    const at = path.child(name);
    const type = text(profile, 'type');
    const local = text(profile, 'localhostProfile');
    if (type === '')
      errors.required(
        at.child('type'),
        name === 'seccompProfile'
          ? 'type is required when seccompProfile is set'
          : 'type is required when appArmorProfile is set',
      );
    else if (!SECCOMP.includes(type)) errors.notSupported(at.child('type'), type, SECCOMP);
    if (type === 'Localhost') {
      if (!has(profile, 'localhostProfile') || local.trim() === '') {
        errors.required(
          at.child('localhostProfile'),
          name === 'seccompProfile'
            ? 'must be set when seccomp type is Localhost'
            : 'must be set when AppArmor type is Localhost',
        );
      } else if (name === 'seccompProfile') {
        if (local.startsWith('/'))
          errors.invalid(at.child('localhostProfile'), local, 'must be a relative path');
        else if (local.split('/').includes('..'))
          errors.invalid(at.child('localhostProfile'), local, "must not contain '..'");
      } else {
        if (local !== local.trim())
          errors.invalid(at.child('localhostProfile'), local, 'must not be padded with whitespace');
        if (local.length > 4095) errors.tooLong(at.child('localhostProfile'), 4095);
      }
    } else if (has(profile, 'localhostProfile')) {
      errors.invalid(
        at.child('localhostProfile'),
        local,
        name === 'seccompProfile'
          ? 'can only be set when seccomp type is Localhost'
          : 'can only be set when AppArmor type is Localhost',
      );
    }
  }
}

function checkWindows(errors: FieldErrors, path: FieldPath, options: JsonObject | undefined): void {
  if (options === undefined) return;
  if (has(options, 'gmsaCredentialSpecName')) {
    const name = text(options, 'gmsaCredentialSpecName');
    errors.invalids(path.child('gmsaCredentialSpecName'), name, dnsSubdomainErrors(name));
  }
  if (has(options, 'gmsaCredentialSpec')) {
    const spec = text(options, 'gmsaCredentialSpec');
    if (spec === '')
      errors.invalid(path.child('gmsaCredentialSpec'), spec, 'gmsaCredentialSpec cannot be an empty string');
    else if (spec.length > 64 * 1024) {
      errors.invalid(path.child('gmsaCredentialSpec'), spec, 'gmsaCredentialSpec size must be under 64 KiB');
    }
  }
  if (has(options, 'runAsUserName')) {
    const user = text(options, 'runAsUserName');
    const at = path.child('runAsUserName');
    const words = user.split('\\');
    if (user === '') errors.invalid(at, user, 'runAsUserName cannot be an empty string');
    // eslint-disable-next-line no-control-regex -- control characters are what it looks for
    else if (/[\u0000-\u001f\u007f]/.test(user))
      errors.invalid(at, user, 'runAsUserName cannot contain control characters');
    else if (words.length > 2)
      errors.invalid(at, user, 'runAsUserName cannot contain more than one backslash');
    else if (words[words.length - 1].length > 104)
      errors.invalid(at, user, "runAsUserName's User length must be under 104 characters");
  }
}

/** What must not be said for another operating system's containers. */
export function checkOperatingSystem(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const os = partOf(spec, 'os');
  if (os === undefined) return;
  const name = text(os, 'name');
  if (name === '') {
    errors.required(path.child('os', 'name'), 'cannot be empty');
    return;
  }
  if (name !== 'linux' && name !== 'windows') {
    errors.notSupported(path.child('os', 'name'), name, ['linux', 'windows']);
    return;
  }
  const containers = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((list) =>
    parts(spec, list).map((container, index) => ({ at: path.child(list).index(index), container })),
  );
  if (name === 'linux') {
    const text = 'windows options cannot be set for a linux pod';
    if (has(part(spec, 'securityContext'), 'windowsOptions')) {
      errors.forbidden(path.child('securityContext', 'windowsOptions'), text);
    }
    for (const { at, container } of containers) {
      if (has(part(container, 'securityContext'), 'windowsOptions')) {
        errors.forbidden(at.child('securityContext', 'windowsOptions'), text);
      }
    }
    return;
  }
  for (const field of ['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace']) {
    if (field === 'hostUsers' ? spec[field] === false : flag(spec, field)) {
      errors.forbidden(path.child(field), 'cannot be set for a windows pod');
    }
  }
  const linuxOnly =
    'seLinuxOptions seccompProfile appArmorProfile fsGroup fsGroupChangePolicy sysctls runAsUser runAsGroup supplementalGroups supplementalGroupsPolicy'.split(
      ' ',
    );
  for (const field of linuxOnly) {
    if (has(part(spec, 'securityContext'), field)) {
      errors.forbidden(path.child('securityContext', field), 'cannot be set for a windows pod');
    }
  }
  const containerOnly =
    'seLinuxOptions seccompProfile appArmorProfile capabilities readOnlyRootFilesystem privileged allowPrivilegeEscalation procMount runAsUser runAsGroup'.split(
      ' ',
    );
  for (const { at, container } of containers) {
    for (const field of containerOnly) {
      if (has(part(container, 'securityContext'), field)) {
        errors.forbidden(at.child('securityContext', field), 'cannot be set for a windows pod');
      }
    }
  }
}
