/** Security contexts of a pod and of its containers. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { dnsSubdomainErrors } from './names.ts';
import { hostProcessOf, shownProfile, shownSecurityContext } from './go-shape.ts';
import { byteLength } from './labels.ts';
import { checkDescendingPath } from './local-paths.ts';
import { checkOptionalEnum } from './scalars.ts';
import { asNumber, countOf, flag, has, items, part, partOf, parts, text, textOf } from './value.ts';

const ID = 'must be between 0 and 2147483647, inclusive';
const ID_MAX = 2 ** 31 - 1;
const LOCALHOST = 'Localhost';
const PROFILES: readonly string[] = [LOCALHOST, 'RuntimeDefault', 'Unconfined'];
const GROUP_CHANGES: readonly string[] = ['Always', 'OnRootMismatch'];
/** A path's bytes, less one. */
const PROFILE_LENGTH_MAX = 4095;
const CREDENTIALS_BYTES_MAX = 64 * 1024;
const WINDOWS_DOMAIN_LENGTH_MAX = 256;
const WINDOWS_USER_LENGTH_MAX = 104;
const NETBIOS = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const WINDOWS_DOMAIN =
  /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

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
  checkOptionalEnum(
    errors,
    path.child('fsGroupChangePolicy'),
    textOf(context, 'fsGroupChangePolicy'),
    GROUP_CHANGES,
  );
  checkSeccomp(errors, path.child('seccompProfile'), partOf(context, 'seccompProfile'));
  checkWindows(errors, path.child('windowsOptions'), partOf(context, 'windowsOptions'));
  checkAppArmor(errors, path.child('appArmorProfile'), partOf(context, 'appArmorProfile'));
  const groups = textOf(context, 'supplementalGroupsPolicy');
  checkOptionalEnum(errors, path.child('supplementalGroupsPolicy'), groups, ['Merge', 'Strict']);
  // MountOption waits for a feature that is off unless somebody turns it on.
  const labels = textOf(context, 'seLinuxChangePolicy');
  checkOptionalEnum(errors, path.child('seLinuxChangePolicy'), labels, ['Recursive']);
}

export function checkContainerSecurity(
  errors: FieldErrors,
  path: FieldPath,
  context: JsonObject,
  hostUsers: boolean,
): void {
  for (const name of ['runAsUser', 'runAsGroup']) checkId(errors, path.child(name), countOf(context, name));
  const mount = textOf(context, 'procMount');
  checkOptionalEnum(errors, path.child('procMount'), mount, ['Default', 'Unmasked']);
  if (hostUsers && mount === 'Unmasked') {
    errors.invalid(path.child('procMount'), mount, '`hostUsers` must be false to use `Unmasked`');
  }
  checkSeccomp(errors, path.child('seccompProfile'), partOf(context, 'seccompProfile'));
  if (context['allowPrivilegeEscalation'] === false) {
    const refuse = (what: string): void => {
      errors.invalid(
        path,
        shownSecurityContext(context),
        `cannot set \`allowPrivilegeEscalation\` to false and ${what}`,
      );
    };
    if (flag(context, 'privileged')) refuse('`privileged` to true');
    for (const capability of items(part(context, 'capabilities'), 'add')) {
      if (capability === 'CAP_SYS_ADMIN') refuse('`capabilities.Add` CAP_SYS_ADMIN');
    }
  }
  checkWindows(errors, path.child('windowsOptions'), partOf(context, 'windowsOptions'));
  checkAppArmor(errors, path.child('appArmorProfile'), partOf(context, 'appArmorProfile'));
}

function checkSeccomp(errors: FieldErrors, path: FieldPath, profile: JsonObject | undefined): void {
  if (profile === undefined) return;
  const type = text(profile, 'type');
  if (type === '') errors.required(path.child('type'), 'type is required when seccompProfile is set');
  else if (!PROFILES.includes(type)) errors.notSupported(path.child('type'), type, PROFILES);
  const at = path.child('localhostProfile');
  const local = textOf(profile, 'localhostProfile');
  if (type !== LOCALHOST) {
    if (local === undefined) return;
    errors.invalid(at, shownProfile(profile), 'can only be set when seccomp type is Localhost');
  } else if (local === undefined) errors.required(at, 'must be set when seccomp type is Localhost');
  else checkDescendingPath(errors, at, local);
}

/** The profile of AppArmor, of a pod or a container. */
export function checkAppArmor(errors: FieldErrors, path: FieldPath, profile: JsonObject | undefined): void {
  if (profile === undefined) return;
  const type = text(profile, 'type');
  const at = path.child('localhostProfile');
  const local = textOf(profile, 'localhostProfile');
  if (type === '') errors.required(path.child('type'), 'type is required when appArmorProfile is set');
  else if (!PROFILES.includes(type)) errors.notSupported(path.child('type'), type, PROFILES);
  else if (type !== LOCALHOST) {
    if (local !== undefined) errors.invalid(at, local, 'can only be set when AppArmor type is Localhost');
  } else if (local === undefined) errors.required(at, 'must be set when AppArmor type is Localhost');
  else {
    if (local !== local.trim()) errors.invalid(at, local, 'must not be padded with whitespace');
    else if (local === '') errors.required(at, 'must be set when AppArmor type is Localhost');
    if (local.length > PROFILE_LENGTH_MAX) errors.tooLong(at, PROFILE_LENGTH_MAX);
  }
}

function checkWindows(errors: FieldErrors, path: FieldPath, options: JsonObject | undefined): void {
  if (options === undefined) return;
  const name = textOf(options, 'gmsaCredentialSpecName');
  if (name !== undefined) {
    errors.invalids(path.child('gmsaCredentialSpecName'), name, dnsSubdomainErrors(name));
  }
  const credentials = textOf(options, 'gmsaCredentialSpec');
  if (credentials === '') {
    const why = 'gmsaCredentialSpec cannot be an empty string';
    errors.invalid(path.child('gmsaCredentialSpec'), credentials, why);
  } else if (credentials !== undefined && byteLength(credentials) > CREDENTIALS_BYTES_MAX) {
    const why = 'gmsaCredentialSpec size must be under 64 KiB';
    errors.invalid(path.child('gmsaCredentialSpec'), credentials, why);
  }
  const user = textOf(options, 'runAsUserName');
  if (user !== undefined) errors.invalids(path.child('runAsUserName'), user, userNameErrors(user));
}

/** What is wrong with `DOMAIN\\USER`, the domain being optional. */
function userNameErrors(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f]/.test(name)) return ['runAsUserName cannot contain control characters'];
  const words = name.split('\\');
  if (words.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const errors: string[] = [];
  const user = words[words.length - 1];
  if (words.length === 2) {
    const [domain] = words;
    if (domain.length >= WINDOWS_DOMAIN_LENGTH_MAX)
      errors.push("runAsUserName's Domain length must be under 256 characters");
    if (!NETBIOS.test(domain) && !WINDOWS_DOMAIN.test(domain))
      errors.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === '') errors.push("runAsUserName's User cannot be empty");
  else if (user.length > WINDOWS_USER_LENGTH_MAX)
    errors.push("runAsUserName's User length must not be longer than 104 characters");
  if (/^[. ]+$/.test(user)) errors.push("runAsUserName's User cannot contain only periods or spaces");
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) {
    errors.push(String.raw`runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]`);
  }
  return errors;
}

/** Containers that are processes of a Windows node: all of a pod's or none, on the node's network. */
export function checkHostProcess(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const whole = hostProcessOf(spec);
  const all = containersOf(path, spec);
  let ofHost = 0;
  for (const { at, container } of all) {
    const own = hostProcessOf(container);
    if (whole !== undefined && own !== undefined && whole !== own) {
      errors.invalid(
        at.child('securityContext', 'windowsOptions', 'hostProcess'),
        own,
        `pod hostProcess value must be identical if both are specified, was ${whole}`,
      );
    }
    if (own ?? whole ?? false) ofHost += 1;
  }
  if (ofHost === 0) return;
  if (ofHost !== all.length) {
    const why =
      'If pod contains any hostProcess containers then all containers must be HostProcess containers';
    errors.invalid(path, '', why);
  }
  if (!flag(spec, 'hostNetwork')) {
    const why = 'hostNetwork must be true if pod contains any hostProcess containers';
    errors.invalid(path.child('hostNetwork'), false, why);
  }
}

/** All containers of a pod, in the order the original visits them. */
export function containersOf(
  path: FieldPath,
  spec: JsonObject,
): readonly { readonly at: FieldPath; readonly container: JsonObject }[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    parts(spec, list).map((container, index) => ({ at: path.child(list).index(index), container })),
  );
}

/** What must not be said for another operating system's containers. */
export function checkOperatingSystem(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const os = partOf(spec, 'os');
  if (os === undefined) return;
  const name = text(os, 'name');
  if (name === '') errors.required(path.child('os', 'name'));
  else if (name === 'linux') checkLinux(errors, path, spec);
  else if (name === 'windows') checkWindowsPod(errors, path, spec);
  else errors.notSupported(path.child('os'), name, ['linux', 'windows']);
}

function checkLinux(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  for (const { at, container } of [{ at: path, container: spec }, ...containersOf(path, spec)]) {
    if (!has(part(container, 'securityContext'), 'windowsOptions')) continue;
    const why = 'windows options cannot be set for a linux pod';
    errors.forbidden(at.child('securityContext', 'windowsOptions'), why);
  }
}

/** Fields of a pod that Windows does not know, in the original's order; those of its security context below. */
const POD_ONLY_LINUX: readonly (readonly [inContext: boolean, name: string])[] = [
  [true, 'appArmorProfile'],
  [true, 'seLinuxOptions'],
  [false, 'hostUsers'],
  [false, 'hostPID'],
  [false, 'hostIPC'],
  [true, 'seccompProfile'],
  [true, 'fsGroup'],
  [true, 'fsGroupChangePolicy'],
  [true, 'sysctls'],
  [false, 'shareProcessNamespace'],
  [true, 'runAsUser'],
  [true, 'runAsGroup'],
  [true, 'supplementalGroups'],
  [true, 'supplementalGroupsPolicy'],
  [true, 'seLinuxChangePolicy'],
];
const CONTAINER_ONLY_LINUX: readonly string[] = [
  'appArmorProfile seLinuxOptions seccompProfile capabilities readOnlyRootFilesystem privileged',
  'allowPrivilegeEscalation procMount runAsUser runAsGroup',
].flatMap((names) => names.split(' '));

function checkWindowsPod(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const why = 'cannot be set for a windows pod';
  for (const [inContext, name] of POD_ONLY_LINUX) {
    const of = inContext ? part(spec, 'securityContext') : spec;
    const said = name === 'hostPID' || name === 'hostIPC' ? flag(of, name) : has(of, name);
    if (said) errors.forbidden((inContext ? path.child('securityContext') : path).child(name), why);
  }
  for (const { at, container } of containersOf(path, spec)) {
    for (const name of CONTAINER_ONLY_LINUX) {
      if (has(part(container, 'securityContext'), name))
        errors.forbidden(at.child('securityContext', name), why);
    }
  }
}
