/**
 * The controls of the baseline level of the Pod Security Standards: what no pod may do that is not known to need it.
 * Each looks at a pod and says in a few words what it found. Pure.
 *
 * Modelled on Kubernetes' pod-security-admission/policy.
 */

import type { JsonObject } from '../../api/json.ts';
import { count, flag, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { containersOf } from '../pod-parts.ts';
import {
  containersText,
  joined,
  plural,
  securityOf,
  sortedSet,
  type Control,
  type Finding,
  type PodView,
} from './finding.ts';

const APP_ARMOR_PREFIX = 'container.apparmor.security.beta.kubernetes.io/';

function appArmorProfile({ annotations, spec }: PodView): Finding | undefined {
  const allowed = ['RuntimeDefault', 'Localhost'];
  const setters: string[] = [];
  const wrong: string[] = [];
  const profile = partOf(securityOf(spec), 'appArmorProfile');
  if (profile !== undefined && !allowed.includes(text(profile, 'type'))) {
    setters.push('pod');
    wrong.push(text(profile, 'type'));
  }
  const containers = containersOf(spec).filter((container) => {
    const own = partOf(securityOf(container), 'appArmorProfile');
    if (own === undefined || allowed.includes(text(own, 'type'))) return false;
    wrong.push(text(own, 'type'));
    return true;
  });
  if (containers.length > 0) setters.push(containersText(containers));
  const notes = Object.entries(annotations)
    .filter(([key]) => key.startsWith(APP_ARMOR_PREFIX))
    .filter(([, value]) => value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .toSorted();
  if (notes.length > 0) setters.push(plural(notes.length, 'annotation'));
  if (setters.length === 0) return undefined;
  const values = [...sortedSet(wrong), ...notes];
  return {
    reason: plural(values.length, 'forbidden AppArmor profile'),
    detail: `${setters.join(' and ')} must not set AppArmor profile type to ${joined(values)}`,
  };
}

const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

function capabilities({ spec }: PodView): Finding | undefined {
  const wrong: string[] = [];
  const containers = containersOf(spec).filter((container) => {
    const added = texts(part(securityOf(container), 'capabilities'), 'add');
    const others = added.filter((name) => !DEFAULT_CAPABILITIES.has(name));
    wrong.push(...others);
    return others.length > 0;
  });
  if (containers.length === 0) return undefined;
  return {
    reason: 'non-default capabilities',
    detail: `${containersText(containers)} must not include ${joined(sortedSet(wrong))} in securityContext.capabilities.add`,
  };
}

function hostNamespaces({ spec }: PodView): Finding | undefined {
  const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter((name) => flag(spec, name));
  if (shared.length === 0) return undefined;
  return { reason: 'host namespaces', detail: shared.map((name) => `${name}=true`).join(', ') };
}

function hostPathVolumes({ spec }: PodView): Finding | undefined {
  const volumes = parts(spec, 'volumes').filter((volume) => has(volume, 'hostPath'));
  if (volumes.length === 0) return undefined;
  const names = volumes.map((volume) => text(volume, 'name'));
  return { reason: 'hostPath volumes', detail: `${plural(names.length, 'volume')} ${joined(names)}` };
}

function hostPorts({ spec }: PodView): Finding | undefined {
  const ports: string[] = [];
  const containers = containersOf(spec).filter((container) => {
    const own = parts(container, 'ports')
      .map((port) => count(port, 'hostPort'))
      .filter((port) => port !== 0);
    ports.push(...own.map(String));
    return own.length > 0;
  });
  if (containers.length === 0) return undefined;
  const distinct = sortedSet(ports);
  return {
    reason: 'hostPort',
    detail: `${containersText(containers)} ${uses(containers.length)} ${plural(distinct.length, 'hostPort')} ${distinct.join(', ')}`,
  };
}

function uses(number: number): string {
  return number === 1 ? 'uses' : 'use';
}

function hostProbes({ spec }: PodView): Finding | undefined {
  const hosts: string[] = [];
  const containers = containersOf(spec).filter((container) => {
    const handlers = [
      ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((name) => part(container, name)),
      ...['postStart', 'preStop'].map((name) => part(part(container, 'lifecycle'), name)),
    ];
    const own = handlers
      .flatMap((handler) => ['httpGet', 'tcpSocket'].map((name) => text(part(handler, name), 'host')))
      .filter((host) => host !== '');
    hosts.push(...own);
    return own.length > 0;
  });
  if (containers.length === 0) return undefined;
  const names = sortedSet(containers.map((container) => text(container, 'name')));
  const distinct = sortedSet(hosts);
  return {
    reason: 'probe or lifecycle host',
    detail: `${plural(names.length, 'container')} ${joined(names)} ${uses(names.length)} ${plural(distinct.length, 'probe or lifecycle host')} ${joined(distinct)}`,
  };
}

function privileged({ spec }: PodView): Finding | undefined {
  const containers = containersOf(spec).filter((container) => flag(securityOf(container), 'privileged'));
  if (containers.length === 0) return undefined;
  return {
    reason: 'privileged',
    detail: `${containersText(containers)} must not set securityContext.privileged=true`,
  };
}

export function procMount({ spec }: PodView): Finding | undefined {
  const wrong: string[] = [];
  const containers = containersOf(spec).filter((container) => {
    const security = securityOf(container);
    if (!has(security, 'procMount') || text(security, 'procMount') === 'Default') return false;
    wrong.push(text(security, 'procMount'));
    return true;
  });
  if (containers.length === 0) return undefined;
  return {
    reason: 'procMount',
    detail: `${containersText(containers)} must not set securityContext.procMount to ${joined(sortedSet(wrong))}`,
  };
}

/** Root in a user namespace is nobody outside of it. */
export function inUserNamespace({ spec }: PodView): boolean {
  return spec['hostUsers'] === false;
}

const SELINUX_TYPES: readonly string[] = ['', 'container_t', 'container_init_t', 'container_kvm_t'];

function seLinuxOptions(types: readonly string[]): (pod: PodView) => Finding | undefined {
  return ({ spec }) => {
    const wrong: string[] = [];
    let user = false;
    let role = false;
    const isWrong = (holder: JsonObject): boolean => {
      const options = partOf(securityOf(holder), 'seLinuxOptions');
      if (options === undefined) return false;
      const type = text(options, 'type');
      const [setsUser, setsRole] = [text(options, 'user') !== '', text(options, 'role') !== ''];
      if (!types.includes(type)) wrong.push(type);
      user ||= setsUser;
      role ||= setsRole;
      return !types.includes(type) || setsUser || setsRole;
    };
    const setters = isWrong(spec) ? ['pod'] : [];
    const containers = containersOf(spec).filter(isWrong);
    if (containers.length > 0) setters.push(containersText(containers));
    if (setters.length === 0) return undefined;
    const distinct = sortedSet(wrong);
    const found = distinct.length === 0 ? [] : [`${plural(distinct.length, 'type')} ${joined(distinct)}`];
    if (user) found.push('user may not be set');
    if (role) found.push('role may not be set');
    return {
      reason: 'seLinuxOptions',
      detail: `${setters.join(' and ')} set forbidden securityContext.seLinuxOptions: ${found.join('; ')}`,
    };
  };
}

const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';

/** Before seccomp profiles had fields. */
function seccompAnnotations({ annotations, spec }: PodView): Finding | undefined {
  const keys = [
    SECCOMP_POD,
    ...containersOf(spec).map((container) => `${SECCOMP_CONTAINER}${text(container, 'name')}`),
  ];
  const wrong = keys.flatMap((key) => {
    if (!Object.hasOwn(annotations, key)) return [];
    const value = annotations[key];
    const right = value === 'runtime/default' || value === 'docker/default' || value.startsWith('localhost/');
    return right ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  if (wrong.length === 0) return undefined;
  const distinct = sortedSet(wrong);
  return {
    reason: 'seccompProfile',
    detail: `forbidden ${plural(distinct.length, 'annotation')} ${distinct.join(', ')}`,
  };
}

export function isSeccompType(type: string): boolean {
  return type === 'RuntimeDefault' || type === 'Localhost';
}

export function seccompProfile({ spec }: PodView): Finding | undefined {
  const wrong: string[] = [];
  const isWrong = (holder: JsonObject): boolean => {
    const profile = partOf(securityOf(holder), 'seccompProfile');
    if (profile === undefined || isSeccompType(text(profile, 'type'))) return false;
    wrong.push(text(profile, 'type'));
    return true;
  };
  const setters = isWrong(spec) ? ['pod'] : [];
  const containers = containersOf(spec).filter(isWrong);
  if (containers.length > 0) setters.push(containersText(containers));
  if (setters.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `${setters.join(' and ')} must not set securityContext.seccompProfile.type to ${joined(sortedSet(wrong))}`,
  };
}

/** Sysctls that stay within the pod, and since which version they are let through. */
const SYSCTLS: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
};

function sysctls(minor: number): (pod: PodView) => Finding | undefined {
  return ({ spec }) => {
    const wrong = parts(securityOf(spec), 'sysctls')
      .map((each) => text(each, 'name'))
      .filter((name) => !Object.hasOwn(SYSCTLS, name) || SYSCTLS[name] > minor);
    return wrong.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: wrong.join(', ') };
  };
}

function windowsHostProcess({ spec }: PodView): Finding | undefined {
  const isHost = (holder: JsonObject): boolean =>
    flag(part(securityOf(holder), 'windowsOptions'), 'hostProcess');
  const setters = isHost(spec) ? ['pod'] : [];
  const containers = containersOf(spec).filter(isHost);
  if (containers.length > 0) setters.push(containersText(containers));
  if (setters.length === 0) return undefined;
  return {
    reason: 'hostProcess',
    detail: `${setters.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true`,
  };
}

/** In the order of their names, as findings are told. */
export const BASELINE_CONTROLS: readonly Control[] = [
  { name: 'appArmorProfile', versions: [[0, appArmorProfile]] },
  { name: 'capabilities_baseline', versions: [[0, capabilities]] },
  { name: 'hostNamespaces', versions: [[0, hostNamespaces]] },
  { name: 'hostPathVolumes', versions: [[0, hostPathVolumes]] },
  { name: 'hostPorts', versions: [[0, hostPorts]] },
  { name: 'hostProbesAndHostLifecycle', versions: [[34, hostProbes]] },
  { name: 'privileged', versions: [[0, privileged]] },
  {
    name: 'procMount',
    versions: [
      [0, procMount],
      [35, (pod) => (inUserNamespace(pod) ? undefined : procMount(pod))],
    ],
  },
  {
    name: 'seLinuxOptions',
    versions: [
      [0, seLinuxOptions(SELINUX_TYPES)],
      [31, seLinuxOptions([...SELINUX_TYPES, 'container_engine_t'])],
    ],
  },
  {
    name: 'seccompProfile_baseline',
    versions: [
      [0, seccompAnnotations],
      [19, seccompProfile],
    ],
  },
  {
    name: 'sysctls',
    versions: [0, 27, 29, 32].map((minor) => [minor, sysctls(minor)]),
  },
  { name: 'windowsHostProcess', versions: [[0, windowsHostProcess]] },
];
