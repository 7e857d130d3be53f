/** Containers of a pod: those that stay, those that come first, those put in for a look. Texts as upstream's. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { dnsLabelErrors, portNameErrors, portNumberErrors } from './names.ts';
import { checkEnv, checkEnvFrom } from './pod-env.ts';
import { checkProbesAndHooks, PROBE_NAMES } from './pod-probes.ts';
import { checkResourceRequirements } from './pod-resources.ts';
import { checkContainerSecurity } from './pod-security.ts';
import { checkVolumeDevices, checkVolumeMounts } from './pod-mounts.ts';
import { checkEnum, checkOptionalEnum } from './scalars.ts';
import { count, has, items, part, partOf, parts, same, text, textOf } from './value.ts';

/** What a container is checked against. */
export interface PodSurroundings {
  readonly volumes: ReadonlyMap<string, JsonObject>;
  readonly claims: ReadonlySet<string>;
  readonly graceSeconds: number | undefined;
  readonly hostUsers: boolean;
  readonly osName: string;
  readonly restartPolicy: string;
}

const PULL_POLICIES: readonly string[] = ['Always', 'IfNotPresent', 'Never'];
const PROTOCOLS: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const TERMINATION_POLICIES: readonly string[] = ['File', 'FallbackToLogsOnError'];

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
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    names.add(name);
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
    checkRestartPolicy(errors, at, container);
    const name = text(container, 'name');
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    else if (name !== '') names.add(name);
    // They run one after another: ports conflict within each alone.
    checkHostPorts(errors, path, [container]);
    if (text(container, 'restartPolicy') === 'Always') {
      checkProbesAndHooks(errors, at, container, pod.graceSeconds, pod.osName);
      continue;
    }
    for (const field of ['lifecycle', ...PROBE_NAMES]) {
      if (!has(container, field)) continue;
      errors.forbidden(at.child(field), 'may not be set for init containers without restartPolicy=Always');
    }
    for (const [number, policy] of parts(container, 'resizePolicy').entries()) {
      const restart = text(policy, 'restartPolicy');
      if (restart !== 'RestartContainer') continue;
      const why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
      errors.invalid(at.child('resizePolicy').index(number).child('restartPolicy'), restart, why);
    }
  }
}

/** Fields a container that is put in later may have. */
const EPHEMERAL_FIELDS: ReadonlySet<string> = new Set(
  [
    'name image command args workingDir envFrom env volumeMounts volumeDevices terminationMessagePath',
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
    checkImageText(errors, at, container);
    const name = text(container, 'name');
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    else names.add(name);
    const target = text(container, 'targetContainerName');
    if (target !== '' && !targets.has(target)) errors.notFound(at.child('targetContainerName'), target);
    for (const [field, value] of Object.entries(container)) {
      const bare = Array.isArray(value) ? value.length === 0 : field === 'resources' && same(value, {});
      const empty = value === null || bare;
      if (EPHEMERAL_FIELDS.has(field) || empty) continue;
      errors.forbidden(at.child(field), 'cannot be set for an Ephemeral Container');
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

/** Space around an image's name: of pods it is refused, in a template it may stand for something. */
export function checkImageText(errors: FieldErrors, path: FieldPath, container: JsonObject): void {
  const image = text(container, 'image');
  if (image === image.trim()) return;
  errors.invalid(path.child('image'), image, 'must not have leading or trailing whitespace');
}

function checkOne(errors: FieldErrors, path: FieldPath, container: JsonObject, pod: PodSurroundings): void {
  const name = text(container, 'name');
  if (name === '') errors.required(path.child('name'));
  else errors.invalids(path.child('name'), name, dnsLabelErrors(name));
  if (text(container, 'image') === '') errors.required(path.child('image'));
  checkEnum(
    errors,
    path.child('terminationMessagePolicy'),
    text(container, 'terminationMessagePolicy'),
    TERMINATION_POLICIES,
  );
  checkPorts(errors, path.child('ports'), parts(container, 'ports'));
  checkEnv(errors, path.child('env'), parts(container, 'env'));
  checkEnvFrom(errors, path.child('envFrom'), parts(container, 'envFrom'));
  checkVolumeMounts(errors, path, container, pod.volumes);
  checkVolumeDevices(errors, path.child('volumeDevices'), container, pod.volumes);
  checkEnum(errors, path.child('imagePullPolicy'), text(container, 'imagePullPolicy'), PULL_POLICIES);
  checkResourceRequirements(errors, path.child('resources'), part(container, 'resources'), {
    claims: pod.claims,
  });
  checkResizePolicy(errors, path.child('resizePolicy'), parts(container, 'resizePolicy'), pod.restartPolicy);
  const security = partOf(container, 'securityContext');
  if (security !== undefined)
    checkContainerSecurity(errors, path.child('securityContext'), security, pod.hostUsers);
}

function checkPorts(errors: FieldErrors, path: FieldPath, ports: readonly JsonObject[]): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = path.index(index);
    const name = text(port, 'name');
    if (name !== '') {
      const wrong = portNameErrors(name);
      errors.invalids(at.child('name'), name, wrong);
      if (wrong.length === 0) {
        if (names.has(name)) errors.duplicate(at.child('name'), name);
        names.add(name);
      }
    }
    const number = count(port, 'containerPort');
    if (number === 0) errors.required(at.child('containerPort'));
    else errors.invalids(at.child('containerPort'), number, portNumberErrors(number));
    const host = count(port, 'hostPort');
    if (host !== 0) errors.invalids(at.child('hostPort'), host, portNumberErrors(host));
    checkEnum(errors, at.child('protocol'), text(port, 'protocol'), PROTOCOLS);
  }
}

/** On the host's network a port is the host's. @param isPod a template may leave it to who makes the pod */
export function checkHostNetworkPorts(
  errors: FieldErrors,
  path: FieldPath,
  containers: readonly JsonObject[],
  isPod: boolean,
): void {
  for (const [index, container] of containers.entries()) {
    for (const [number, port] of parts(container, 'ports').entries()) {
      const host = count(port, 'hostPort');
      if (host === count(port, 'containerPort') || (host === 0 && !isPod)) continue;
      const at = path.index(index).child('ports').index(number).child('hostPort');
      errors.invalid(at, host, 'must match `containerPort` when `hostNetwork` is true');
    }
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

const RESTART_POLICIES: readonly string[] = ['Always', 'Never', 'OnFailure'];
const RESTART_RULES_MAX = 20;
const EXIT_CODES_MAX = 255;

function checkRestartPolicy(errors: FieldErrors, path: FieldPath, container: JsonObject): void {
  const at = path.child('restartPolicy');
  const policy = textOf(container, 'restartPolicy');
  checkOptionalEnum(errors, at, policy, RESTART_POLICIES);
  const rules = parts(container, 'restartPolicyRules');
  if (rules.length > 0 && policy === undefined) {
    errors.required(at, 'must specify restartPolicy when restart rules are used');
  }
  if (rules.length > RESTART_RULES_MAX) {
    errors.tooMany(path.child('restartPolicyRules'), rules.length, RESTART_RULES_MAX);
  }
  for (const [index, rule] of rules.entries()) {
    const place = path.child('restartPolicyRules').index(index);
    const action = text(rule, 'action');
    checkOptionalEnum(errors, place.child('action'), action, ['Restart', 'RestartAllContainers']);
    const codes = partOf(rule, 'exitCodes');
    if (codes === undefined) {
      errors.required(place.child('exitCodes'), 'must be specified');
      continue;
    }
    checkOptionalEnum(errors, place.child('exitCodes', 'operator'), text(codes, 'operator'), ['In', 'NotIn']);
    const values = items(codes, 'values').length;
    if (values > EXIT_CODES_MAX) errors.tooMany(place.child('exitCodes', 'values'), values, EXIT_CODES_MAX);
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
      errors.invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
    }
  }
}
