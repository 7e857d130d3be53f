/** Containers of a pod: those that stay, those that come first, those put in for a look. Texts as upstream's. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { dnsLabelErrors, portNameErrors, portNumberErrors } from './names.ts';
import { checkEnv, checkEnvFrom } from './pod-env.ts';
import { checkProbesAndHooks, PROBE_NAMES } from './pod-probes.ts';
import { checkResourceRequirements } from './pod-resources.ts';
import { checkContainerSecurity } from './pod-security.ts';
import { checkVolumeMounts } from './pod-volumes.ts';
import { count, has, part, partOf, parts, text } from './value.ts';

/** What a container is checked against. */
export interface PodSurroundings {
  readonly volumes: ReadonlyMap<string, JsonObject>;
  readonly claims: ReadonlySet<string>;
  readonly graceSeconds: number | undefined;
  readonly hostNetwork: boolean;
  readonly hostUsers: boolean;
  readonly osName: string;
  readonly restartPolicy: string;
}

const PULL_POLICIES: readonly string[] = ['Always', 'IfNotPresent', 'Never'];
const PROTOCOLS: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const TERMINATION_POLICIES: readonly string[] = ['FallbackToLogsOnError', 'File'];

export function checkContainers(
  errors: FieldErrors,
  path: FieldPath,
  containers: readonly JsonObject[],
  pod: PodSurroundings,
): void {
  if (containers.length === 0) {
    errors.required(path);
    return;
  }
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const at = path.index(index);
    checkOne(errors, at, container, pod);
    const name = text(container, 'name');
    if (name !== '') {
      if (names.has(name)) errors.duplicate(at.child('name'), name);
      names.add(name);
    }
    checkProbesAndHooks(errors, at, container, pod.graceSeconds, pod.osName);
    checkRestartPolicy(errors, at, container);
  }
  checkHostPorts(errors, path, containers);
}

export function checkInitContainers(
  errors: FieldErrors,
  path: FieldPath,
  containers: readonly JsonObject[],
  regular: readonly JsonObject[],
  pod: PodSurroundings,
): void {
  const names = new Set(regular.map((container) => text(container, 'name')));
  for (const [index, container] of containers.entries()) {
    const at = path.index(index);
    checkOne(errors, at, container, pod);
    checkHostPorts(errors, path, [container]);
    const sidecar = text(container, 'restartPolicy') === 'Always';
    checkRestartPolicy(errors, at, container);
    const name = text(container, 'name');
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    else if (name !== '') names.add(name);
    if (sidecar) checkProbesAndHooks(errors, at, container, pod.graceSeconds, pod.osName);
    else {
      if (has(container, 'lifecycle')) {
        errors.forbidden(
          at.child('lifecycle'),
          'may not be set for init containers without restartPolicy=Always',
        );
      }
      for (const probe of PROBE_NAMES) {
        if (has(container, probe)) {
          errors.forbidden(
            at.child(probe),
            'may not be set for init containers without restartPolicy=Always',
          );
        }
      }
    }
    if (parts(container, 'resizePolicy').length > 0 && !sidecar) {
      errors.invalid(
        at.child('resizePolicy'),
        container['resizePolicy'],
        'must not be set for init containers',
      );
    }
  }
}

/** Fields a container that is put in later may have. */
const EPHEMERAL_FIELDS: ReadonlySet<string> = new Set(
  [
    'name image command args workingDir envFrom env resources volumeMounts volumeDevices terminationMessagePath',
    'terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty targetContainerName',
  ].flatMap((names) => names.split(' ')),
);

export function checkEphemeralContainers(
  errors: FieldErrors,
  path: FieldPath,
  containers: readonly JsonObject[],
  spec: JsonObject,
  pod: PodSurroundings,
): void {
  const others = [...parts(spec, 'containers'), ...parts(spec, 'initContainers')];
  const names = new Set(others.map((container) => text(container, 'name')));
  const targets = new Set(names);
  for (const [index, container] of containers.entries()) {
    const at = path.index(index);
    checkOne(errors, at, container, pod);
    const name = text(container, 'name');
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    else if (name !== '') names.add(name);
    const target = text(container, 'targetContainerName');
    if (target !== '' && !targets.has(target)) errors.notFound(at.child('targetContainerName'), target);
    for (const field of Object.keys(container)) {
      const value = container[field];
      const empty =
        (Array.isArray(value) && value.length === 0) ||
        (field === 'resources' && Object.keys(part(container, field)).length === 0);
      if (!EPHEMERAL_FIELDS.has(field) && value !== null && !empty) {
        errors.forbidden(at.child(field), 'cannot be set for an Ephemeral Container');
      }
    }
    if (Object.keys(part(container, 'resources')).length > 0) {
      errors.forbidden(at.child('resources'), 'cannot be set for an Ephemeral Container');
    }
    for (const [number, mount] of parts(container, 'volumeMounts').entries()) {
      for (const field of ['subPath', 'subPathExpr']) {
        if (text(mount, field) !== '') {
          errors.forbidden(
            at.child('volumeMounts').index(number).child(field),
            'cannot be set for an Ephemeral Container',
          );
        }
      }
    }
  }
}

function checkOne(errors: FieldErrors, path: FieldPath, container: JsonObject, pod: PodSurroundings): void {
  const name = text(container, 'name');
  if (name === '') errors.required(path.child('name'));
  else errors.invalids(path.child('name'), name, dnsLabelErrors(name));
  const image = text(container, 'image');
  if (image === '') errors.required(path.child('image'));
  else if (image !== image.trim()) {
    errors.invalid(path.child('image'), image, 'must not have leading or trailing whitespace');
  }
  const policy = text(container, 'terminationMessagePolicy');
  if (policy === '') errors.required(path.child('terminationMessagePolicy'));
  else if (!TERMINATION_POLICIES.includes(policy)) {
    errors.notSupported(path.child('terminationMessagePolicy'), policy, TERMINATION_POLICIES);
  }
  checkPorts(errors, path.child('ports'), parts(container, 'ports'), pod.hostNetwork);
  checkEnv(errors, path.child('env'), parts(container, 'env'));
  checkEnvFrom(errors, path.child('envFrom'), parts(container, 'envFrom'));
  checkVolumeMounts(errors, path, container, pod.volumes);
  const pull = text(container, 'imagePullPolicy');
  if (pull === '') errors.required(path.child('imagePullPolicy'));
  else if (!PULL_POLICIES.includes(pull))
    errors.notSupported(path.child('imagePullPolicy'), pull, PULL_POLICIES);
  checkResourceRequirements(errors, path.child('resources'), part(container, 'resources'), {
    claims: pod.claims,
  });
  checkResizePolicy(errors, path.child('resizePolicy'), parts(container, 'resizePolicy'), pod.restartPolicy);
  const security = partOf(container, 'securityContext');
  if (security !== undefined)
    checkContainerSecurity(errors, path.child('securityContext'), security, pod.hostUsers);
}

function checkPorts(
  errors: FieldErrors,
  path: FieldPath,
  ports: readonly JsonObject[],
  hostNetwork: boolean,
): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = path.index(index);
    const name = text(port, 'name');
    if (name !== '') {
      const wrong = portNameErrors(name);
      errors.invalids(at.child('name'), name, wrong);
      if (wrong.length === 0 && names.has(name)) errors.duplicate(at.child('name'), name);
      names.add(name);
    }
    const number = count(port, 'containerPort');
    if (number === 0) errors.required(at.child('containerPort'));
    else errors.invalids(at.child('containerPort'), number, portNumberErrors(number));
    const host = count(port, 'hostPort');
    if (host !== 0) {
      errors.invalids(at.child('hostPort'), host, portNumberErrors(host));
      if (hostNetwork && host !== number) {
        errors.invalid(at.child('hostPort'), host, 'must match `containerPort` when `hostNetwork` is true');
      }
    }
    const protocol = text(port, 'protocol');
    if (protocol === '') errors.required(at.child('protocol'));
    else if (!PROTOCOLS.includes(protocol)) errors.notSupported(at.child('protocol'), protocol, PROTOCOLS);
  }
}

/** Two containers cannot have one port of the host. */
function checkHostPorts(errors: FieldErrors, path: FieldPath, containers: readonly JsonObject[]): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries()) {
    for (const [number, port] of parts(container, 'ports').entries()) {
      const host = count(port, 'hostPort');
      if (host === 0) continue;
      const id = `${text(port, 'protocol')}/${text(port, 'hostIP')}/${host}`;
      if (taken.has(id))
        errors.duplicate(path.index(index).child('ports').index(number).child('hostPort'), id);
      taken.add(id);
    }
  }
}

function checkRestartPolicy(errors: FieldErrors, path: FieldPath, container: JsonObject): void {
  const policies = ['Always', 'Never', 'OnFailure'];
  const policy = container['restartPolicy'];
  if (typeof policy === 'string' && !policies.includes(policy)) {
    errors.notSupported(path.child('restartPolicy'), policy, policies);
  }
  const rules = parts(container, 'restartPolicyRules');
  if (rules.length > 0 && typeof policy !== 'string') {
    errors.required(path.child('restartPolicy'), 'must specify restartPolicy when restart rules are used');
  }
  if (rules.length > 20) errors.tooMany(path.child('restartPolicyRules'), rules.length, 20);
  for (const [index, rule] of rules.entries()) {
    const at = path.child('restartPolicyRules').index(index);
    if (text(rule, 'action') !== 'Restart' && text(rule, 'action') !== 'RestartAllContainers') {
      errors.notSupported(at.child('action'), text(rule, 'action'), ['Restart', 'RestartAllContainers']);
    }
    const codes = partOf(rule, 'exitCodes');
    if (codes === undefined) errors.required(at.child('exitCodes'), 'must be specified');
    else if (!['In', 'NotIn'].includes(text(codes, 'operator'))) {
      errors.notSupported(at.child('exitCodes', 'operator'), text(codes, 'operator'), ['In', 'NotIn']);
    }
  }
}

function checkResizePolicy(
  errors: FieldErrors,
  path: FieldPath,
  policies: readonly JsonObject[],
  podRestartPolicy: string,
): void {
  const seen = new Set<string>();
  for (const [index, policy] of policies.entries()) {
    const name = text(policy, 'resourceName');
    const restart = text(policy, 'restartPolicy');
    if (seen.has(name)) errors.duplicate(path.index(index), name);
    seen.add(name);
    if (name === '') errors.required(path);
    else if (name !== 'cpu' && name !== 'memory') errors.notSupported(path, name, ['cpu', 'memory']);
    const restarts = ['NotRequired', 'RestartContainer'];
    if (restart === '') errors.required(path);
    else if (!restarts.includes(restart)) errors.notSupported(path, restart, restarts);
    if (podRestartPolicy === 'Never' && restart !== 'NotRequired') {
      errors.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
  }
}
