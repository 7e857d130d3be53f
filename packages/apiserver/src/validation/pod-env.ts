/** Environment variables of a container and where their values come from. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkLabelName } from './labels.ts';
import { configKeyErrors, environmentNameErrors, qualifiedNameErrors } from './names.ts';
import { checkUnreservedPath } from './local-paths.ts';
import { checkDnsLabel, checkDnsSubdomain, quantity } from './scalars.ts';
import { has, part, partOf, text } from './value.ts';

const ENV_FIELDS: readonly string[] = [
  'metadata.name metadata.namespace metadata.uid spec.nodeName spec.serviceAccountName status.hostIP',
  'status.hostIPs status.podIP status.podIPs',
]
  .flatMap((names) => names.split(' '))
  .toSorted();
const RESOURCES: readonly string[] = [
  'limits.cpu limits.ephemeral-storage limits.memory requests.cpu requests.ephemeral-storage requests.memory',
].flatMap((names) => names.split(' '));

export function checkEnv(errors: FieldErrors, path: FieldPath, env: readonly JsonObject[]): void {
  for (const [index, variable] of env.entries()) {
    const at = path.index(index);
    const name = text(variable, 'name');
    if (name === '') errors.required(at.child('name'));
    else errors.invalids(at.child('name'), name, environmentNameErrors(name));
    const source = partOf(variable, 'valueFrom');
    if (source !== undefined) checkSource(errors, at.child('valueFrom'), source, text(variable, 'value'));
  }
}

function checkSource(errors: FieldErrors, path: FieldPath, source: JsonObject, value: string): void {
  let sources = 0;
  const field = partOf(source, 'fieldRef');
  if (field !== undefined) {
    sources += 1;
    checkFieldRef(errors, path.child('fieldRef'), field, ENV_FIELDS);
  }
  const resource = partOf(source, 'resourceFieldRef');
  if (resource !== undefined) {
    sources += 1;
    checkResourceFieldRef(errors, path.child('resourceFieldRef'), resource, false);
  }
  for (const name of ['configMapKeyRef', 'secretKeyRef']) {
    const reference = partOf(source, name);
    if (reference === undefined) continue;
    sources += 1;
    checkKeyRef(errors, path.child(name), reference);
  }
  const file = partOf(source, 'fileKeyRef');
  if (file !== undefined) {
    sources += 1;
    checkFileKeyRef(errors, path.child('fileKeyRef'), file);
  }
  if (sources === 0) {
    errors.invalid(
      path,
      '',
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
    );
  } else if (value !== '') {
    errors.invalid(path, '', 'may not be specified when `value` is not empty');
  } else if (sources > 1) errors.invalid(path, '', 'may not have more than one field specified at a time');
}

/** A variable of a file that another container writes. */
function checkFileKeyRef(errors: FieldErrors, path: FieldPath, file: JsonObject): void {
  const key = text(file, 'key');
  if (key === '') errors.required(path.child('key'));
  else errors.invalids(path.child('key'), key, environmentNameErrors(key));
  const volume = text(file, 'volumeName');
  if (volume === '') errors.required(path.child('volumeName'));
  else checkDnsLabel(errors, path.child('volumeName'), volume);
  const at = text(file, 'path');
  if (at === '') errors.required(path.child('path'));
  else checkUnreservedPath(errors, path.child('path'), at);
}

function checkKeyRef(errors: FieldErrors, path: FieldPath, reference: JsonObject): void {
  checkDnsSubdomain(errors, path.child('name'), text(reference, 'name'));
  const key = text(reference, 'key');
  if (key === '') errors.required(path.child('key'));
  else errors.invalids(path.child('key'), key, configKeyErrors(key));
}

/** A field of the pod, `metadata.labels['x']` included. */
export function checkFieldRef(
  errors: FieldErrors,
  path: FieldPath,
  reference: JsonObject,
  supported: readonly string[],
): void {
  const version = text(reference, 'apiVersion');
  const given = text(reference, 'fieldPath');
  const field = given === OLD_NODE_FIELD ? 'spec.nodeName' : given;
  if (field === '') {
    errors.required(path.child('fieldPath'));
    return;
  }
  const refused = (why: string): void => {
    errors.invalid(path.child('fieldPath'), field, `error converting fieldPath: ${why}`);
  };
  if (version !== 'v1') {
    refused(`unsupported pod version: ${version}`);
    return;
  }
  const subscript = /^(.+?)\['(.*)'\]$/s.exec(field);
  if (subscript !== null) {
    const [, map, key] = subscript;
    if (map === 'metadata.labels') checkLabelName(errors, path, key);
    else if (map === 'metadata.annotations') {
      errors.invalids(path, key.toLowerCase(), qualifiedNameErrors(key.toLowerCase()));
    } else refused(`field label does not support subscript: ${field}`);
  } else if (!KNOWN_FIELDS.has(field)) refused(`field label not supported: ${field}`);
  else if (!supported.includes(field)) errors.notSupported(path.child('fieldPath'), field, supported);
}

/** What a pod's fields may be called in a reference at all. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set(
  [
    'metadata.annotations metadata.labels metadata.name metadata.namespace metadata.uid spec.nodeName',
    'spec.restartPolicy spec.serviceAccountName spec.schedulerName status.phase status.hostIP status.hostIPs',
    'status.podIP status.podIPs',
  ].flatMap((names) => names.split(' ')),
);
/** What spec.nodeName was called before there were versions. */
const OLD_NODE_FIELD = 'spec.host';

export function checkResourceFieldRef(
  errors: FieldErrors,
  path: FieldPath,
  reference: JsonObject,
  inVolume: boolean,
): void {
  const resource = text(reference, 'resource');
  if (inVolume && text(reference, 'containerName') === '') errors.required(path.child('containerName'));
  else if (resource === '') errors.required(path.child('resource'));
  else if (!RESOURCES.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource)) {
    errors.notSupported(path.child('resource'), resource, RESOURCES);
  }
  const divisor = reference['divisor'];
  if (typeof divisor !== 'string' || quantity(divisor).nanos === 0n) return;
  const kind = DIVISORS.find(([pattern]) => pattern.test(resource));
  if (kind === undefined) return;
  const [, unit, allowed, why] = kind;
  if (allowed.includes(divisor)) return;
  errors.invalid(
    path.child('divisor'),
    resource,
    `only divisor's values ${why} are supported with the ${unit} resource`,
  );
}

const SIZES: readonly string[] = '1 1k 1M 1G 1T 1P 1E 1Ki 1Mi 1Gi 1Ti 1Pi 1Ei'.split(' ');

/** What amounts are counted in: by the resource, what it is called, and the units there are. */
const DIVISORS: readonly (readonly [RegExp, string, readonly string[], string])[] = [
  [/^(limits|requests)\.cpu$/, 'cpu', ['1m', '1'], '1m and 1'],
  [/^(limits|requests)\.memory$/, 'memory', SIZES, SIZES.join(', ')],
  [/^(limits|requests)\.ephemeral-storage$/, 'local ephemeral storage', SIZES, SIZES.join(', ')],
  [/^(limits|requests)\.hugepages-/, 'hugepages', SIZES, SIZES.join(', ')],
];

export function checkEnvFrom(errors: FieldErrors, path: FieldPath, sources: readonly JsonObject[]): void {
  for (const [index, source] of sources.entries()) {
    const at = path.index(index);
    const prefix = text(source, 'prefix');
    if (prefix !== '') errors.invalids(at.child('prefix'), prefix, environmentNameErrors(prefix));
    let references = 0;
    for (const name of ['configMapRef', 'secretRef']) {
      if (!has(source, name)) continue;
      references += 1;
      const referred = text(part(source, name), 'name');
      if (referred === '') errors.required(at.child(name, 'name'));
      else checkDnsSubdomain(errors, at.child(name, 'name'), referred);
    }
    if (references === 0) errors.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`');
    else if (references > 1) errors.invalid(path, '', 'may not have more than one field specified at a time');
  }
}
